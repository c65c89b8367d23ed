// A person with a browser at the authorization server: signs in, reads the page, says yes. It sends what a browser sends and no more, and
// refuses to know what the client does with the answer.

/**
 * @param {string} authorize where a client sends the browser
 * @param {{name: string, password: string}} person
 * @param {{all?: boolean}} mood whether they tick what is grave as well
 * @returns {Promise<{back: URL, page: string}>} where the browser ends, and what the person was shown
 */
export async function agree(authorize, { name, password }, { all = false } = {}) {
  const origin = new URL(authorize).origin;
  let cookie = "";
  const go = async (url, form) => {
    const headers = { ...(cookie && { cookie }), ...(form && { origin, "sec-fetch-site": "same-origin" }) };
    const answer = await fetch(url, { method: form ? "POST" : "GET", headers, body: form && new URLSearchParams(form), redirect: "manual" });
    cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? cookie;
    const to = answer.headers.get("location");
    return { to: to && new URL(to, url), text: await answer.text() };
  };
  let shown = await go(authorize);
  if (shown.to?.origin !== origin) return { back: shown.to, page: shown.text };
  const consent = shown.to;
  shown = await go(consent);
  const entered = await go(`${origin}/oauth/sign-in`, { request: field(shown.text, "request"), csrf: field(shown.text, "csrf"), name, password });
  const page = await go(entered.to);
  const boxes = all ? /name="(effect\.\w+)" value="yes"/g : /name="(effect\.\w+)" value="yes" checked/g;
  const ticked = [...page.text.matchAll(boxes)].map(([, effect]) => [effect, "yes"]);
  const form = { request: field(page.text, "request"), csrf: field(page.text, "csrf"), purpose: "interop", lease: "900000", answer: "yes", ...Object.fromEntries(ticked) };
  const { to } = await go(`${origin}/oauth/consent`, form);
  return { back: to, page: page.text };
}

function field(page, name) {
  return page.match(new RegExp(`name="${name}" value="([^"]*)"`))?.[1] ?? "";
}
