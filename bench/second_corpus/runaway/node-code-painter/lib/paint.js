'use strict';

// One alternative for each kind of token; every alternative eats at least one character.
const TOKEN = new RegExp([
  /(?<comment>\/\/[^\n]*|\/\*(?:[^*]|\*(?!\/))*\*\/)/,
  /(?<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)/,
  /(?<number>\b(?:0[xX][\da-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\b)/,
  /(?<word>[A-Za-z_$][\w$]*(?:\s*\.\s*[A-Za-z_$][\w$]*)*)/,
  /(?<space>\s+)/,
  /(?<other>[\s\S])/,
].map((r) => r.source).join('|'), 'gu');

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
const KEYWORDS = new Set(['const', 'let', 'return', 'if', 'else', 'for', 'function', 'new']);

function kindOf(groups) {
  for (const kind in groups) {
    if (groups[kind] !== undefined) return kind;
  }
  return 'other';
}

// Hands the marked-up source to `write` piece by piece; returns how many tokens of each kind there are.
function paint(source, write) {
  const counts = {};
  let m;
  TOKEN.lastIndex = 0;
  while ((m = TOKEN.exec(source)) !== null) {
    const text = m[0].replace(/[&<>]/g, (c) => ESCAPES[c]);
    let kind = kindOf(m.groups);
    if (kind === 'word' && KEYWORDS.has(text)) kind = 'keyword';
    counts[kind] = (counts[kind] || 0) + 1;
    write(kind === 'space' || kind === 'other' ? text : `<b class=${kind}>${text}</b>`);
  }
  return counts;
}

module.exports = { paint };
