'use strict';
const http = require('node:http');
const { Router } = require('./router');

const router = new Router();
router.get('/health', (params, res) => res.end('ok'));
router.get('/stock/:sku', ({ sku }, res) => {
  let sum = 0;
  for (const ch of sku) sum += ch.charCodeAt(0);
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ sku, left: sum % 50 }));
});
router.get('/stock/:sku/places/:place', ({ sku, place }, res) => {
  res.end(JSON.stringify({ sku, place, left: 1 }));
});

const server = http.createServer((req, res) => router.handle(req, res));
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
