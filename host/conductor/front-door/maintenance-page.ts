/** What people see while the site is closed, unless the configuration has a page of its own. It loads nothing else. */
export const MAINTENANCE_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex">
    <title>Maintenance</title>
    <style>
      body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 20vh auto 0; padding: 0 1.5rem; color: #222; }
      h1 { font-size: 1.6rem; }
      @media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } }
    </style>
  </head>
  <body>
    <h1>We will be back shortly</h1>
    <p>This site is closed for maintenance. Please try again in a few minutes.</p>
  </body>
</html>
`;
