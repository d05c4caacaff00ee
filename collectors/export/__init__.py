"""Figures for other systems to fetch; one file an exporter."""
