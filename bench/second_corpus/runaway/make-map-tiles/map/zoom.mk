# Columns and rows of the sheet, and how fine the shading is.
COLS  := 12
ROWS  := 12
STEPS := 800
