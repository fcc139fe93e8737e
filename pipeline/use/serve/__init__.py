"""``face2anime serve``: a page on this machine that translates a picture."""
