// How often a server that has crashed is started again. Time comes in as a value.

const FIRST_DELAY_MS = 500;
const MAX_CRASHES = 5;
const WINDOW_MS = 180_000;

/** Waits longer after each crash, and gives up after five in three minutes. */
export class Restarts {
  private crashes: number[] = [];

  /** The pause before the next start, in ms, or null to give up. */
  crashed(nowMs: number): number | null {
    this.crashes = [...this.crashes.filter((then) => nowMs - then < WINDOW_MS), nowMs];
    if (this.crashes.length >= MAX_CRASHES) {
      return null;
    }
    return FIRST_DELAY_MS * 2 ** (this.crashes.length - 1);
  }

  /** The user wants it to start: what was before does not count. */
  forget(): void {
    this.crashes = [];
  }
}
