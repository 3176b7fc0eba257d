'use strict';
const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { once } = require('events');
const { Pool } = require('../lib/pool');

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'hub-'));

test('starts a worker', async () => {
  const settings = path.join(dir, 'settings.json');
  fs.writeFileSync(settings, '{"queue": "mail"}');
  const pool = new Pool(1, { HUB_SETTINGS: settings });
  const [slot] = await once(pool, 'ready');
  assert.strictEqual(slot, 0);
  pool.close();
});

test('comes up after an upgrade', async (t) => {
  const settings = path.join(dir, 'settings-v2.json');
  const pool = new Pool(2, { HUB_SETTINGS: settings });
  t.after(() => pool.close());
  await once(pool, 'ready', { signal: AbortSignal.timeout(11000) });
});
