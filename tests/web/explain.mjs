// The page of an explanation as a reader uses it: explain.mjs FOLDER, which holds plain.html, hostile.html and long.html.
import { readFileSync } from "node:fs";
import { check, check_width, open, shot, with_browser } from "./browser.mjs";

const folder = process.argv[2];
const nodes = (page) => page.locator("#stage .node").count();

async function without_script(context) {
  const page = await context.browser()?.newPage({ javaScriptEnabled: false });
  if (!page) return;
  await page.goto(`file://${folder}/plain.html`);
  check(await page.locator("#table tbody tr").count() > 50, "without scripts the table is empty");
  await page.close();
}

async function prune(page) {
  const before = await nodes(page);
  await page.locator("#prune").fill("0.4");
  const fewer = await nodes(page);
  await page.locator("#prune").fill("1");
  const all = await nodes(page);
  check(fewer < before && before < all, `pruning showed ${fewer}, ${before}, ${all} nodes at 0.4, 0.8, 1`);
  await page.locator("#prune").fill("0.8");
}

async function hover(page) {
  const unit = page.locator("#stage .node.unit").first();
  await unit.hover();
  const text = await page.locator("#panel").innerText();
  check(/Fires most in|fired nowhere/.test(text), `hovering an atom showed: ${text}`);
  const shown = /contribution\s+([+−]\S+)/.exec(text), told = /unit\s+(\S+)/.exec(text);
  const graph = await page.evaluate(() => JSON.parse(document.getElementById("graph").textContent).nodes.map((n) => n.crate));
  const given = told && graph.find((n) => n.unit === told[1])?.gives;
  check(shown && Math.abs(Number(shown[1].replace("−", "-")) - given) <= 0.01 * Math.abs(given), `hovering ${told?.[1]} showed ${shown?.[1]}, not ${given}`);
  check(/Raises in the output/.test(text) && /Portugal/.test(text), "hovering an atom showed no output tokens");
  check(/Comes from/.test(text) || /Goes to/.test(text), "hovering an atom showed no links");
  check(await page.locator("#stage svg.lit .link.on").count() > 0, "hovering an atom lit no link");
}

async function pin_and_group(page) {
  await page.locator("#stage .node.unit").nth(1).click();
  await page.locator("#stage .node.unit").nth(4).click();
  await page.locator("#stage .node.aim").click();
  check(await page.locator("#pins li").count() === 3, "three clicks did not pin three nodes");
  await page.locator("#pins input[type=checkbox]").nth(0).check();
  await page.locator("#pins input[type=checkbox]").nth(1).check();
  await page.locator("#group-name").fill("places");
  await page.locator("#group").click();
  check(await page.locator("#sub .box.group").count() === 1, "no supernode appeared");
  check(/places[\s\S]*2 nodes, [+−]/.test(await page.locator("#sub").innerText()), "the supernode bears no name, or no sum");
  const copy = await page.context().newPage();
  await copy.goto(page.url());
  check(await copy.locator("#sub .box.group").count() === 1, "the address does not carry the supernode");
  await copy.close();
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#save").click()]);
  const saved = JSON.parse(readFileSync(await download.path(), "utf8"));
  check(saved.qParams.pinnedIds.length === 3 && saved.qParams.supernodes[0][0] === "places", "the saved graph lacks the pins");
}

async function keyboard(page) {
  await page.locator("#clear").click();
  await page.locator("#links").focus();
  await page.keyboard.press("Tab");
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.id);
  const first = await focused();
  await page.keyboard.press("ArrowDown");
  const below = await focused();
  check(first !== below && /layer 3/.test(below), `arrow down went from '${first}' to '${below}'`);
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement.querySelector(".ring")).stroke);
  check(ring !== "none", "the focused node bears no ring");
  await page.keyboard.press("Enter");
  check(await page.locator("#pins li").count() === 1, "Enter did not pin");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("g");
  check(await focused() === "group-name", `g led to '${await focused()}'`);
  await page.keyboard.type("by keys");
  await page.keyboard.press("Enter");
  check(await page.locator("#sub .box.group").count() === 1, "the keyboard made no supernode");
  await page.keyboard.press("Escape");
  check(/Look at a node/.test(await page.locator("#panel").innerText()), "Escape did not let go");
}

async function table(page) {
  const values = async () => (await page.locator("#table tbody tr:not([hidden]) td:nth-child(7)").allInnerTexts()).slice(1)
    .map((t) => Math.abs(Number(t.replace("−", "-").replace("+", ""))));
  const sizes = await values();
  check(sizes.every((v, i) => i === 0 || v <= sizes[i - 1] * 1.001), "the table is not sorted by contribution");
  await page.locator("#table thead").getByRole("button", { name: "layer" }).click();
  check(await page.locator("#table th[aria-sort=ascending]").innerText().then((t) => /layer/.test(t)), "no sorting by layer");
  await page.locator("#find").fill("Tagus");
  const rows = await page.locator("#table tbody tr:visible").allInnerTexts();
  check(rows.length > 0 && rows.every((r) => r.includes("Tagus")), "the search shows other rows");
  await page.locator("#find").fill("");
}

async function looks(page) {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const width of [1280, 800]) {
      await page.setViewportSize({ width, height: 900 });
      await check_width(page, `plain at ${width}`);
      await shot(page, `explain-${scheme}-${width}`, { fullPage: true, clip: { x: 0, y: 0, width: page.viewportSize().width, height: 1500 } });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.locator("#theme").click();
  check(await page.evaluate(() => document.documentElement.dataset.theme) === "dark", "the theme button did nothing");
  await page.locator("#theme").click();
  await page.addStyleTag({ content: "" }).catch(() => {});
  await page.evaluate(() => { document.documentElement.style.fontSize = "24px"; dispatchEvent(new Event("resize")); });
  await check_width(page, "plain with larger text");
  await shot(page, "explain-large-text", { fullPage: true, clip: { x: 0, y: 0, width: page.viewportSize().width, height: 1500 } });
  await page.evaluate(() => { document.documentElement.style.fontSize = ""; });
  await page.emulateMedia({ media: "print" });
  check(await page.locator("#table").isVisible() && !(await page.locator("#stage").isVisible()), "print shows the wrong parts");
  await shot(page, "explain-print");
  await page.emulateMedia({ media: "screen" });
}

async function hostile(context) {
  const page = await open(context, `${folder}/hostile.html`);
  for (const unit of await page.locator("#stage .node").all()) await unit.hover({ force: true });
  await page.locator("#stage .node.unit").first().click();
  check(!(await page.evaluate(() => "broken" in window)), "a token's text ran");
  check(await page.locator("main").count() === 1 && await page.locator("#table img, #panel img, #pins b, #pins i").count() === 0, "a token's text became an element");
  const text = await page.locator("#table").innerText();
  check(text.includes("‹202E›") && text.includes("␀") && text.includes("␛") && text.includes("</script>"), "hostile texts are not shown as they are");
  await shot(page, "explain-hostile", { fullPage: true, clip: { x: 0, y: 0, width: page.viewportSize().width, height: 1500 } });
  await page.close();
}

await with_browser(async (context) => {
  const page = await open(context, `${folder}/plain.html`);
  await shot(page, "explain-first");
  check(/Lisbon/.test(await page.title()), "the title names no target");
  check(/error mass\s*0/.test(await page.locator(".facts").innerText()), "the error mass is not told");
  await without_script(context);
  await prune(page);
  await hover(page);
  await shot(page, "explain-hover");
  await pin_and_group(page);
  await looks(page);
  await table(page);
  await keyboard(page);
  await page.close();
  await hostile(context);
  const long = await open(context, `${folder}/long.html`);
  await long.locator("#stage .node.unit").nth(20).hover();
  await check_width(long, "long");
  await shot(long, "explain-long", { fullPage: true, clip: { x: 0, y: 0, width: long.viewportSize().width, height: 1500 } });
});
