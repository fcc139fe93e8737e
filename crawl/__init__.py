"""The web → a table of posts → the original bytes of their images, politely.

``crawl.sources.discover`` asks declared sources for posts, ``crawl.run.crawl`` downloads them.
"""
