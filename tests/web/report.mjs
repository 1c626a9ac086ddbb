// The page of a report card: report.mjs FOLDER, which holds report.html.
import { check, check_width, open, shot, with_browser } from "./browser.mjs";

await with_browser(async (context) => {
  const page = await open(context, `${process.argv[2]}/report.html`);
  check(/Report card: crate-lm beside gpt-relu/.test(await page.title()), "the title does not say what is compared");
  check(await page.locator("section").count() >= 7, "sections are missing");
  check(await page.locator(".strip svg circle.dot").count() > 50, "no intervals are drawn");
  const tables = await page.locator("table").count(), heads = await page.locator("table:has(th)").count();
  check(tables === heads, "a table has no headings");
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const width of [1280, 800]) {
      await page.setViewportSize({ width, height: 900 });
      await check_width(page, `report at ${width}`);
      await shot(page, `report-${scheme}-${width}`, { fullPage: true, clip: { x: 0, y: 0, width, height: 1700 } });
    }
  }
  await page.emulateMedia({ media: "print" });
  check(await page.locator("#excess").isVisible(), "print hides the headline");
});
