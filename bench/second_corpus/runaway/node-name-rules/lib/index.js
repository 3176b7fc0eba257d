'use strict';
const { HOST, VERSION, TAG } = require('./patterns');

function parseReference(text) {
  const [rest, version = 'latest'] = text.split('@');
  const slash = rest.indexOf('/');
  if (slash < 0) throw new Error(`no host in ${text}`);
  const host = rest.slice(0, slash);
  const name = rest.slice(slash + 1);
  if (!HOST.test(host)) {
    throw new Error(`not a host: ${host}`);
  }
  if (version !== 'latest' && !VERSION.test(version) && !TAG.test(version)) {
    throw new Error(`not a version: ${version}`);
  }
  return { host, name, version };
}

module.exports = { parseReference };
