'use strict';
const path = require('path');
const { serve } = require('../tools/background');

async function links(url) {
  const page = await (await fetch(url)).text();
  return [...page.matchAll(/href="([^"]+)"/g)].map((m) => m[1]);
}

async function main() {
  const site = await serve(path.join(__dirname, '..', 'site'));
  let broken = 0;
  for (const link of await links(`${site.url}/`)) {
    const answer = await fetch(`${site.url}${link}`);
    await answer.text();
    if (answer.status !== 200) {
      console.log(`broken: ${link} (${answer.status})`);
      broken++;
    }
  }
  if (broken) process.exit(1);
  site.stop();
  console.log('ok all links');
}

main();
