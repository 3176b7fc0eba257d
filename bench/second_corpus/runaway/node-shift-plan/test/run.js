'use strict';
const assert = require('assert');
const { plan } = require('../lib/plan');

const day = ['2024-03-01T00:00:00Z', '2024-03-02T00:00:00Z'];
const tests = {
  'three shifts a day': () => {
    const shifts = plan(...day, '8h', ['ann', 'bob']);
    assert.deepStrictEqual(shifts.map((s) => s.who), ['ann', 'bob', 'ann']);
  },
  'last shift is cut': () => {
    assert.strictEqual(plan(...day, '10h', ['ann']).at(-1).to, '2024-03-02T00:00:00.000Z');
  },
  'half-hour shifts': () => {
    assert.strictEqual(plan(...day, '0.5h', ['ann', 'bob']).length, 48);
  },
};

for (const [name, run] of Object.entries(tests)) {
  run();
  console.log(`ok ${name}`);
}
