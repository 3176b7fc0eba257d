/** Made-up quotes: a mean-reverting walk, some arithmetic for each. */
final class Quotes {
    private long seed;
    private double price = 100.0;

    Quotes(long seed) {
        this.seed = seed;
    }

    long next() {
        double noise = 0;
        for (int i = 0; i < 48; i++) {
            seed = seed * 6364136223846793005L + 1442695040888963407L;
            noise += (seed >>> 40) / (double) (1 << 24);
        }
        price += (100.0 - price) * 0.01 + (noise - 24.0) * 0.03;
        return Math.round(price * 1000);
    }
}
