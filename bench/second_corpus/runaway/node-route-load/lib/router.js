'use strict';

class Router {
  constructor() {
    this.routes = [];
  }

  get(pattern, handler) {
    const names = [];
    const source = pattern.replace(/:(\w+)/g, (_, name) => {
      names.push(name);
      return '([^/]+)';
    });
    this.routes.push({ regex: new RegExp(`^${source}$`), names, handler });
  }

  handle(req, res) {
    const path = req.url.split('?', 1)[0];
    for (const { regex, names, handler } of this.routes) {
      const m = regex.exec(path);
      if (m) {
        const params = Object.fromEntries(names.map((n, i) => [n, decodeURIComponent(m[i + 1])]));
        return handler(params, res);
      }
    }
    res.statusCode = 404;
    res.end('not found');
  }
}

module.exports = { Router };
