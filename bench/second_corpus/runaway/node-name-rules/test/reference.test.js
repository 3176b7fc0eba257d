'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { parseReference } = require('../lib');

test('takes a reference apart', () => {
  assert.deepStrictEqual(parseReference('registry.example.org/tools/lint@1.4.0'), {
    host: 'registry.example.org', name: 'tools/lint', version: '1.4.0',
  });
});

test('refuses a missing host', () => {
  assert.throws(() => parseReference('lint@1.4.0'), /no host/);
});

test('refuses a port in the host', () => {
  assert.throws(() => parseReference('registrymirror01internaleuwest3examplenet:5000/lint'), /not a host/);
});
