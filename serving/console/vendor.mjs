// Copies what the pages load, and the licences that allow it, to static/vendor/.
// Run after `npm ci`; nothing else of node_modules is ever served.
import { cp, mkdir, rm, writeFile, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";

const VENDORED = {
  "htmx.org": { licence: "LICENSE", files: ["dist/htmx.min.js"] },
  "maplibre-gl": {
    licence: "LICENSE.txt",
    files: ["dist/maplibre-gl.mjs", "dist/maplibre-gl-worker.mjs", "dist/maplibre-gl.css"],
  },
  uplot: { licence: "LICENSE", files: ["dist/uPlot.esm.js", "dist/uPlot.min.css"] },
};

const here = import.meta.dirname ?? dirname(new URL(import.meta.url).pathname);
const target = join(here, "static", "vendor");

await rm(target, { recursive: true, force: true });
const versions = {};
for (const [name, { licence, files }] of Object.entries(VENDORED)) {
  const source = join(here, "node_modules", name);
  await mkdir(join(target, name), { recursive: true });
  for (const file of files) await cp(join(source, file), join(target, name, file.split("/").pop()));
  await cp(join(source, licence), join(target, name, "LICENSE.txt"));
  versions[name] = JSON.parse(await readFile(join(source, "package.json"), "utf8")).version;
}
// written last: the service takes its presence for a whole folder
await writeFile(join(target, "versions.json"), JSON.stringify(versions, null, 2) + "\n");
