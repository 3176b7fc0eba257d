'use strict';
const { minutes } = require('./duration');

const MINUTE = 60 * 1000;

/** Shifts of `length` each that cover the time from `from` to `to`. */
function plan(from, to, length, crew) {
  const step = minutes(length) * MINUTE;
  const end = Date.parse(to);
  const shifts = [];
  let at = Date.parse(from);
  while (at < end) {
    const stop = Math.min(at + step, end);
    shifts.push({
      id: `${crew[shifts.length % crew.length]}-${shifts.length}`,
      from: new Date(at).toISOString(),
      to: new Date(stop).toISOString(),
      who: crew[shifts.length % crew.length],
    });
    at = stop;
  }
  return shifts;
}

module.exports = { plan };
