# One tile of the sheet: heights from a few octaves of waves, as grey values.
function height(x, y,    h, o, f) {
    h = 0
    f = 1
    for (o = 0; o < 9; o++) {
        h += sin(x * f + o) * cos(y * f - o) / f
        f *= 1.9
    }
    return h
}
BEGIN {
    split(at, rc, "_")
    size = 64
    printf "P2\n%d %d\n255\n", size, size
    for (j = 0; j < size; j++) {
        line = ""
        for (i = 0; i < size; i++) {
            sum = 0
            for (s = 0; s < steps / 16; s++)
                sum += height(rc[2] + i / size + s / 1000, rc[1] + j / size - s / 1000)
            line = line " " int(127 + 60 * sum / (steps / 16))
        }
        print line
    }
}
