'use strict';
const assert = require('assert');
const { read } = require('../lib/read');

const tests = {
  'reads plain values': () => {
    assert.deepStrictEqual(read('a=1\nb= two ; note\n'), { a: '1', b: 'two' });
  },
  'reads sections': () => {
    assert.deepStrictEqual(read('[net]\nport=80\n'), { net: { port: '80' } });
  },
  'reads quoted values': () => {
    assert.deepStrictEqual(read('a="x;\\"y"\nb=2'), { a: 'x;"y', b: '2' });
  },
  'survives a file that was cut short': () => {
    assert.deepStrictEqual(Object.keys(read('[net]\nhost="exam')), ['net']);
  },
};

let failed = 0;
for (const [name, run] of Object.entries(tests)) {
  try {
    run();
    console.log(`ok ${name}`);
  } catch (err) {
    failed++;
    console.log(`not ok ${name}: ${err.message}`);
  }
}
process.exit(failed ? 1 : 0);
