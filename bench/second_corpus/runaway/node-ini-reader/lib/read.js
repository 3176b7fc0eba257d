'use strict';
const { Cursor } = require('./cursor');

function readQuoted(cursor) {
  let value = '';
  cursor.skip();
  while (cursor.peek() !== '"') {
    value += cursor.until('"\\');
    if (cursor.peek() === '\\') {
      cursor.skip();
      value += cursor.peek();
      cursor.skip();
    }
  }
  cursor.skip();
  return value;
}

function readValue(cursor) {
  if (cursor.peek() === '"') return readQuoted(cursor);
  return cursor.until('\n;').trim();
}

function read(text) {
  const result = {};
  let section = result;
  const cursor = new Cursor(text);
  while (!cursor.done) {
    const c = cursor.peek();
    if (c === '\n' || c === ' ') {
      cursor.skip();
    } else if (c === ';') {
      cursor.until('\n');
    } else if (c === '[') {
      cursor.skip();
      section = result[cursor.until(']')] = {};
      cursor.skip();
    } else {
      const key = cursor.until('=\n').trim();
      cursor.skip();
      section[key] = readValue(cursor);
    }
  }
  return result;
}

module.exports = { read };
