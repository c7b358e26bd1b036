(root, data) => {
  // data: classes, networks [{name, all: [code]}], columns, sprite (an address),
  //       pictures [{row, label, said: [class a network], sure: [tenths of a percent a network]}].
  // A code of `all` is one mistake: (label * classes + said) * 1000 + tenths of a percent.
  if (!root) return;
  const find = (name) => root.querySelector(`[data-cl="${name}"]`);
  const controls = ["network", "label", "said", "sure", "order", "everybody"].map(find);
  const [network, label, said, sure, order, everybody] = controls;
  const K = data.classes.length, PAGE = 40;
  let page = 0, chosen = null;

  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const picture = (k, side) => {
    const made = element("span", "", { class: "cl-picture", "aria-hidden": "true" });
    const x = (k % data.columns) * side, y = Math.floor(k / data.columns) * side;
    made.style.cssText =
      `width:${side}px;height:${side}px;` +
      `background-size:${data.columns * side}px auto;background-position:-${x}px -${y}px`;
    return made;
  };
  const percent = (tenths) => `${(tenths / 10).toFixed(1)}\u00a0%`;
  const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

  const detail = (k) => {
    const p = data.pictures[k], box = find("detail"), words = element("div", "");
    words.append(element("p", `Test image ${p.row}, labelled ${data.classes[p.label]}. What each network says:`));
    const list = element("ul", "");
    data.networks.forEach((n, m) => {
      const right = p.said[m] === p.label ? "right" : "wrong";
      list.append(element("li", `${n.name}: ${data.classes[p.said[m]]}, ${percent(p.sure[m])} (${right})`));
    });
    words.append(list);
    box.replaceChildren(picture(k, 192), words);
  };

  const draw = () => {
    const m = Number(network.value), least = 10 * Number(sure.value);
    const fits = (a, b, s) =>
      (label.value === "" || a === Number(label.value)) &&
      (said.value === "" || b === Number(said.value)) && s >= least;
    find("least").textContent = `${sure.value} %`;
    let rows = data.pictures.map((p, k) => k).filter((k) => {
      const p = data.pictures[k];
      return p.said[m] !== p.label && fits(p.label, p.said[m], p.sure[m]) &&
        (!everybody.checked || p.said.every((s) => s !== p.label));
    });
    const by = (k) => data.pictures[k].sure[m];
    if (order.value === "surest") rows.sort((a, b) => by(b) - by(a));
    if (order.value === "unsure") rows.sort((a, b) => by(a) - by(b));
    const total = data.networks[m].all.filter((code) => {
      const pair = Math.floor(code / 1000);
      return fits(Math.floor(pair / K), pair % K, code % 1000);
    }).length;
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    page = Math.min(page, pages - 1);
    const common = everybody.checked ? " that every network gets wrong" : "";
    find("count").textContent =
      `${data.networks[m].name} makes ${plural(total, "such mistake")}; ` +
      `${plural(rows.length, "picture")}${common} here, page ${page + 1} of ${pages}.`;
    find("tiles").replaceChildren(...rows.slice(page * PAGE, (page + 1) * PAGE).map((k) => {
      const p = data.pictures[k], button = element("button", "", { type: "button" });
      const words = element("span", `${data.classes[p.label]}, called `);
      words.append(element("strong", data.classes[p.said[m]]), ` ${percent(p.sure[m])}`);
      button.append(picture(k, 96), words);
      button.setAttribute("aria-pressed", String(k === chosen));
      button.addEventListener("click", () => {
        for (const other of find("tiles").querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
        button.setAttribute("aria-pressed", "true");
        chosen = k;
        detail(k);
      });
      const item = element("li", "");
      item.append(button);
      return item;
    }));
    find("previous").disabled = page === 0;
    find("next").disabled = page === pages - 1;
  };
  for (const control of controls)
    control.addEventListener("input", () => { page = 0; draw(); });
  find("previous").addEventListener("click", () => { page -= 1; draw(); });
  find("next").addEventListener("click", () => { page += 1; draw(); });
  draw();
  find("app").hidden = false;
  // Once, not once a picture; and where the sprite is a file (as in the book), only for a reader who comes near.
  const near = new IntersectionObserver((seen) => {
    if (!seen.some((place) => place.isIntersecting)) return;
    near.disconnect();
    root.style.setProperty("--cl-sprite", `url(${data.sprite})`);
  }, { rootMargin: "1000px" });
  near.observe(root);
}
