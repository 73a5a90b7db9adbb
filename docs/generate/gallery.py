"""to be written"""
def write_pages():
    return {"reference/gallery.md": "# Gallery\n"}
