'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { paint } = require('../lib/paint');

// A made-up bundle, about as long as a vendor bundle of ours.
function bundle(functions) {
  const parts = [];
  for (let i = 0; i < functions; i++) {
    parts.push(`/* part ${i} ** of the bundle */
function part${i}(a, b) {
  const limit = ${i}.5e3, name = "it's \\"${i}\\"", other = 'x < ${i}';
  if (a.length > limit && b.first.second.third <= 0x${i.toString(16)}) return \`\${a} & \${b}\`;
  for (let k = 0; k < limit; k += ${1 + (i % 7)}) b.push(k); // next
  return new Map([[name, other]]);
}
`);
  }
  return parts.join('');
}

test('kinds of tokens', () => {
  let html = '';
  const counts = paint('return 1 < x; // yes', (piece) => { html += piece; });
  assert.strictEqual(html, '<b class=keyword>return</b> <b class=number>1</b> &lt; <b class=word>x</b>; <b class=comment>// yes</b>');
  assert.strictEqual(counts.keyword, 1);
});

test('a whole bundle', () => {
  let length = 0;
  const source = bundle(145000);
  const counts = paint(source, (piece) => { length += piece.length; });
  assert.strictEqual(counts.comment, 290000);
  assert.ok(length > source.length);
});
