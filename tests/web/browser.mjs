// Starts the system's chromium for a test and counts what was found.
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(import.meta.url)(`${process.env.NODE_PATH}/playwright-core`);
let faults = 0;

export function check(good, what) {
  if (good) return;
  ++faults;
  console.error(`FAULT: ${what}`);
}

/// Runs body(context) in a fresh profile; exits 1 when a check failed or something was thrown.
export async function with_browser(body) {
  const profile = mkdtempSync(join(tmpdir(), "crate-browser-"));
  let context;
  try {
    context = await chromium.launchPersistentContext(profile, {
      executablePath: "/usr/bin/chromium", headless: true, viewport: { width: 1280, height: 900 }, reducedMotion: "reduce",
      args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
    await body(context);
  } catch (e) {
    check(false, e.stack ?? String(e));
  } finally {
    await context?.close();
    rmSync(profile, { recursive: true, force: true });
  }
  process.exit(faults ? 1 : 0);
}

/// Opens a file; whatever it logs as an error, throws, or tries to load is a fault.
export async function open(context, path) {
  const page = await context.newPage();
  page.on("pageerror", (e) => check(false, `${path} threw ${e.stack ?? e}`));
  page.on("console", (m) => m.type() === "error" && check(false, `${path} logged ${m.text()}`));
  page.on("request", (r) => r.url() !== `file://${path}` && !/^(data|blob):/.test(r.url()) && check(false, `${path} asked for ${r.url()}`));
  await page.goto(`file://${path}`);
  return page;
}

/// A screenshot when somebody wants to look.
export async function shot(page, name, options = {}) {
  if (process.env.CRATE_SHOTS) await page.screenshot({ path: join(process.env.CRATE_SHOTS, `${name}.png`), ...options });
}

/// No part of the page is cut off sideways.
export async function check_width(page, name) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(over <= 0, `${name} is ${over} px wider than the window`);
}
