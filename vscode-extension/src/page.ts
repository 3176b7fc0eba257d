// The page that a view's front end is put into. Nothing is loaded from anywhere but the
// extension's own folder, and nothing runs that is not named here. Knows nothing of VS Code.

export function pageOf(source: {
  title: string;
  script: string;
  style: string;
  cspSource: string;
  nonce: string;
}): string {
  const { title, script, style, cspSource, nonce } = source;
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${cspSource}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${style}">
<title>${title}</title>
</head>
<body>
<div id="page"></div>
<script nonce="${nonce}" src="${script}"></script>
</body>
</html>
`;
}
