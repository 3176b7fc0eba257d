'use strict';

class Cursor {
  constructor(text) {
    this.text = text;
    this.pos = 0;
  }

  get done() {
    return this.pos >= this.text.length;
  }

  peek() {
    return this.text[this.pos];
  }

  /** Everything up to one of `stops` (or the end); does not take the stop itself. */
  until(stops) {
    const start = this.pos;
    while (!this.done && !stops.includes(this.text[this.pos])) this.pos++;
    return this.text.slice(start, this.pos);
  }

  skip(count = 1) {
    this.pos += count;
  }
}

module.exports = { Cursor };
