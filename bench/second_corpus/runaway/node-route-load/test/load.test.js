'use strict';
const test = require('node:test');
const assert = require('node:assert');
const http = require('node:http');
const path = require('node:path');
const { fork } = require('node:child_process');

const REQUESTS = 130000;
const CLIENTS = 24;

function get(agent, port, url) {
  return new Promise((resolve, reject) => {
    http.get({ agent, host: '127.0.0.1', port, path: url }, (res) => {
      let body = '';
      res.on('data', (chunk) => { body += chunk; });
      res.on('end', () => resolve({ status: res.statusCode, body }));
    }).on('error', reject);
  });
}

test('answers every request under load', async (t) => {
  const server = fork(path.join(__dirname, '..', 'lib', 'server.js'));
  t.after(() => server.disconnect());
  const { port } = await new Promise((resolve) => server.once('message', resolve));
  const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  t.after(() => agent.destroy());

  let next = 0;
  let missing = 0;
  async function client() {
    while (next < REQUESTS) {
      const n = next++;
      const url = n % 5 ? `/stock/AB-${n}` : `/nothing/${n}`;
      const { status, body } = await get(agent, port, url);
      if (status === 404) missing++;
      else assert.strictEqual(JSON.parse(body).sku, `AB-${n}`);
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client));
  assert.strictEqual(missing, REQUESTS / 5);
});
