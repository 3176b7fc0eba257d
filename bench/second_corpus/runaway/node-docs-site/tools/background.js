'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const { spawn } = require('child_process');

/** Starts the docs server in the background; resolves to its address and a stop(). */
async function serve(folder) {
  const portFile = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'docs-')), 'port');
  const child = spawn(process.execPath, [path.join(__dirname, 'serve.js'), folder, portFile], {
    detached: true,
    stdio: 'ignore',
  });
  child.unref();
  for (let i = 0; i < 100; i++) {
    const port = fs.existsSync(portFile) && fs.readFileSync(portFile, 'utf8');
    if (port) return { url: `http://127.0.0.1:${port}`, stop: () => child.kill() };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the docs server did not come up');
}

module.exports = { serve };
