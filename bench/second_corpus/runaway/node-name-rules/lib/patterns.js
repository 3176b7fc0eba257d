'use strict';

// Names as the registry takes them: words of letters and digits, joined by dots or dashes.
const HOST = /^([a-z0-9]+[-.]?)+\.[a-z]{2,}$/;
const VERSION = /^\d+\.\d+\.\d+$/;
const TAG = /^[a-z][a-z0-9_]{0,31}$/;

module.exports = { HOST, VERSION, TAG };
