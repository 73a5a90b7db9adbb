"""Figures, one file each (moving here)."""
