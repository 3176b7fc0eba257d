'use strict';

const UNITS = { m: 1, h: 60, d: 1440 };

/** Minutes in a text such as "90m", "8h" or "1d". */
function minutes(text) {
  const found = /^(\d*\.?\d+)\s*([mhd])/.exec(text);
  if (!found) throw new Error(`not a duration: ${text}`);
  return Math.floor(found[1]) * UNITS[found[2]];
}

module.exports = { minutes };
