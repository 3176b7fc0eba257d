'use strict';
// Serves a folder on a port of its own choice and writes it to a file.
const fs = require('fs');
const http = require('http');
const path = require('path');

const [folder, portFile] = process.argv.slice(2);
const server = http.createServer((req, res) => {
  const file = path.join(folder, req.url.endsWith('/') ? `${req.url}index.html` : req.url);
  fs.readFile(file, (err, body) => {
    res.writeHead(err ? 404 : 200);
    res.end(err ? 'not found' : body);
  });
});
server.listen(0, '127.0.0.1', () => fs.writeFileSync(portFile, String(server.address().port)));
setTimeout(() => process.exit(0), 40000);
