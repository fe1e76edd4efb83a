/** Where everything of one application lives on a host. */
export interface Paths {
  /** All that the conductor keeps, and the homes of what it runs. */
  readonly state: string;
  /** All sockets. */
  readonly runtime: string;
  /** What the host knows of the database: settings, staged migrations, the last backup. Root only. */
  readonly database: string;
  /** Where dumps are restored to for a while. */
  readonly databaseScratch: string;
  /** Is there while an act about the database keeps users out. */
  readonly databaseMark: string;
  /** Program that carries out the acts about the database. */
  readonly databaseWorker: string;
  /** What the publisher of metrics and logs keeps: its settings, what waits, how far logs were shipped. Root only. */
  readonly monitoring: string;
  /** Program that publishes metrics and logs. */
  readonly monitoringProgram: string;
  /** The truth: what is live. */
  readonly site: string;
  /** The act under way, if any. */
  readonly journal: string;
  /** Bare repository that tags are fetched into. */
  readonly source: string;
  /** One record a finished release, out of reach of the user that builds and runs them. */
  readonly records: string;
  /** The environments that releases run with, one file each. */
  readonly environments: string;
  /** HOME of installs and builds. */
  readonly home: string;
  /** HOME of fetches, out of the reach of installs and builds: what Git finds in it names programs that it runs. Root's. */
  readonly fetchHome: string;
  /** Is `/tmp` for an install or a build while it runs. */
  readonly temporary: string;
  /** Program that runs installs and builds where they meet nothing that serves. */
  readonly enclose: string;
  /** Parent of the release directories. */
  readonly releases: string;
  /** Unix socket that acts come in by, for hosts without socket activation. */
  readonly socket: string;
  /** Unix socket to the njs part of the front door. */
  readonly frontDoor: string;
  /** Directory of the instances' private health sockets, one directory a colour in it. */
  readonly health: string;
  /** Logs of the releases. */
  readonly logs: string;
  /** Directory of each colour's PM2. */
  readonly pm2: string;
  /** PM2 itself, an npm package. */
  readonly pm2Software: string;
  /** Nginx configuration of the site. */
  readonly siteConfiguration: string;
  /** Nginx's main configuration, which includes the site's: the one of the host software ({@link Paths.njs}). */
  readonly nginxMain: string;
  /** Nginx's log of the requests that carry a signature as Stripe's do; the signature is not in it. */
  readonly signedRequests: string;
  /** Directory of what the site's Nginx configuration includes or reads. */
  readonly nginxFiles: string;
  /** Traffic state that Nginx starts with. */
  readonly trafficFallback: string;
  /** The conductor's own certificates, and the key of its ACME account. */
  readonly certificates: string;
  /** What Nginx shows to an ACME server, below `/.well-known/acme-challenge/`. */
  readonly challenges: string;
  /** Program that orders a certificate. */
  readonly acme: string;
  /** Program that every instance starts with. */
  readonly launcher: string;
  /** Directory of the njs modules, and of the template of Nginx's main configuration. */
  readonly njs: string;
  /** systemd unit of a colour is `<unit>@<colour>.service`. */
  readonly unit: string;
  /** User that builds and runs the releases. */
  readonly user: string;
  /** While this file exists the site is closed, whatever the conductor says. Root and {@link Paths.user} may make it. */
  readonly maintenanceFile: string;
  /** Files of the last releases that Nginx serves itself: the file of a URL's path is this, followed by the path. */
  readonly assets: string;
  /** What installs made, by lock file; on the file system of the releases, which share its files. */
  readonly dependencies: string;
  /** PM2's command line, a Node script. */
  readonly pm2Program: string;
}

/** Returns the paths of application `app`, a name of lower-case letters, digits and dashes. */
export function pathsOf(app: string): Paths {
  const software = `/usr/local/lib/${app}`;
  const state = `/var/lib/${app}`;
  const runtime = `/run/${app}`;
  return {
    state,
    runtime,
    site: `${state}/site.json`,
    journal: `${state}/journal.json`,
    source: `${state}/build/source.git`,
    records: `${state}/releases`,
    environments: `${state}/environments`,
    home: `${state}/build/home`,
    fetchHome: `${state}/fetch-home`,
    temporary: `${state}/build-temporary`,
    enclose: `${software}/bin/enclose`,
    releases: "/var/www",
    socket: `${runtime}/conductor.sock`,
    frontDoor: `${runtime}/front-door/control.sock`,
    health: `${runtime}/health`,
    logs: `/var/log/${app}`,
    pm2: `${state}/pm2`,
    pm2Software: "/usr/local/lib/pm2/node_modules/pm2",
    siteConfiguration: `/etc/nginx/conf.d/${app}.conf`,
    nginxMain: "/etc/nginx/nginx.conf",
    signedRequests: "/var/log/nginx/webhooks.json",
    nginxFiles: `/etc/nginx/${app}`,
    trafficFallback: `/etc/nginx/${app}/traffic-fallback`,
    certificates: `${state}/certificates`,
    challenges: `${state}/acme`,
    acme: `${software}/acme.js`,
    database: `${state}/database`,
    databaseScratch: `${state}/scratch`,
    databaseMark: `${state}/closed-for-database`,
    databaseWorker: `${software}/database.js`,
    monitoring: `${state}/monitoring`,
    monitoringProgram: `${software}/monitoring.js`,
    launcher: `${software}/launcher.js`,
    njs: `${software}/nginx`,
    unit: app,
    user: "www-data",
    maintenanceFile: `/var/www/${app}/MAINTENANCE_MODE`,
    assets: `/var/www/${app}-assets`,
    dependencies: `/var/www/${app}-dependencies`,
    pm2Program: "/usr/local/lib/pm2/node_modules/pm2/bin/pm2",
  };
}
