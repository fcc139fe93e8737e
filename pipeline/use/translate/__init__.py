"""``face2anime translate``: faces of anybody's pictures, translated."""
