'use strict';
const { spawn } = require('child_process');
const { EventEmitter } = require('events');
const path = require('path');

const WORKER = path.join(__dirname, 'worker.js');

/** Keeps `size` workers running. */
class Pool extends EventEmitter {
  constructor(size, env = {}) {
    super();
    this.env = { ...process.env, ...env };
    this.workers = new Set();
    this.closed = false;
    for (let i = 0; i < size; i++) this.start(i);
  }

  start(slot) {
    const child = spawn(process.execPath, [WORKER, String(slot)], {
      env: this.env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.workers.add(child);
    child.stdout.once('data', () => this.emit('ready', slot));
    child.on('exit', () => {
      this.workers.delete(child);
      if (!this.closed) this.start(slot);
    });
  }

  close() {
    this.closed = true;
    for (const child of this.workers) child.kill();
  }
}

module.exports = { Pool };
