"""The report: one self-contained HTML page that shows one boot, or two side by side."""
