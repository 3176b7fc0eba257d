'use strict';
const fs = require('fs');

const settings = JSON.parse(fs.readFileSync(process.env.HUB_SETTINGS, 'utf8'));
process.stdout.write(`ready ${settings.queue}\n`);
setInterval(() => {}, 60000);
