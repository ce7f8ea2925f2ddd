// Draws the figures in the language and colours of the moment.
const PALETTE = {
  light: {
    ink: "#12303d", muted: "#54707c", grid: "#dfe9ec", paper: "#ffffff", stone: "#c9d6da",
    before: "#d08a2e", after: "#0d6e8c", river: "rgba(22,128,160,0.42)", still: "rgba(120,138,146,0.28)",
    series0: "#0d6e8c", series1: "#d08a2e", series2: "#2f9e7a", series3: "#a3527a", series4: "#5b8fd6", series5: "#7a6a4f",
    need0: "#0a5570", need1: "#3f9fb8", need2: "#d9a55b",
    heat: [[0, "#eef5f6"], [0.25, "#a9d3da"], [0.5, "#4ba3b5"], [0.75, "#166f8c"], [1, "#083a52"]],
    band0: "rgba(13,110,140,0.17)", band1: "rgba(208,138,46,0.17)", band2: "rgba(47,158,122,0.17)",
    band3: "rgba(163,82,122,0.17)", band4: "rgba(91,143,214,0.17)", band5: "rgba(122,106,79,0.17)",
    firms: "#0a5570", firms_ink: "#ffffff", vouchers: "#d9a55b", vouchers_ink: "#12303d",
    centres: "#62b2ca", centres_ink: "#12303d", rest: "#c3cfd3", rest_ink: "#12303d",
  },
  dark: {
    ink: "#e3eff2", muted: "#9db6bf", grid: "#24404a", paper: "#10252d", stone: "#3d5963",
    before: "#e3a44c", after: "#4cb8d4", river: "rgba(76,184,212,0.42)", still: "rgba(150,170,178,0.26)",
    series0: "#4cb8d4", series1: "#e3a44c", series2: "#5fcf9f", series3: "#dd8bb4", series4: "#8fb4f2", series5: "#c3b08a",
    need0: "#7fd6ea", need1: "#338aa3", need2: "#e3a44c",
    heat: [[0, "#16323b"], [0.25, "#1f5d6e"], [0.5, "#2f8fa6"], [0.75, "#72c8d6"], [1, "#e6fbff"]],
    band0: "rgba(76,184,212,0.2)", band1: "rgba(227,164,76,0.2)", band2: "rgba(95,207,159,0.2)",
    band3: "rgba(221,139,180,0.2)", band4: "rgba(143,180,242,0.2)", band5: "rgba(195,176,138,0.2)",
    firms: "#2d8ba8", firms_ink: "#ffffff", vouchers: "#e3a44c", vouchers_ink: "#10252d",
    centres: "#a5dfee", centres_ink: "#10252d", rest: "#4d6a75", rest_ink: "#e3eff2",
  },
};
const FIGURES = JSON.parse(document.getElementById("figures").textContent);
const TITLE = JSON.parse(document.getElementById("titles").textContent);
const FONT = getComputedStyle(document.body).fontFamily;

function fill(node, lang, colours) {
  if (Array.isArray(node)) return node.map((item) => fill(item, lang, colours));
  if (node === null || typeof node !== "object") return node;
  if ("tone" in node) return colours[node.tone];
  if ("en" in node && "zh" in node) return node[lang];
  return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, fill(item, lang, colours)]));
}

function frame(layout, colours, width) {
  const narrow = width < 460;
  const axis = { gridcolor: colours.grid, linecolor: colours.grid, zerolinecolor: colours.grid, fixedrange: true, tickangle: 0 };
  const legend = { orientation: "h", x: 0, xanchor: "left", y: 1, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" };
  const dressed = {
    margin: { l: 8, r: 16, t: layout.showlegend === false ? 10 : 34, b: 44 },
    ...layout,
    autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    dragmode: false,
    font: { family: FONT, size: narrow ? 11 : 12.5, color: colours.ink },
    hoverlabel: { bgcolor: colours.paper, bordercolor: colours.stone, font: { family: FONT, color: colours.ink }, align: "left" },
    legend: { ...legend, ...layout.legend, itemclick: false, itemdoubleclick: false },
  };
  if (narrow && layout.xaxis && layout.xaxis.dtick) layout.xaxis.dtick *= 2; // every other day
  for (const name of ["xaxis", "yaxis"]) {
    if (layout[name]) dressed[name] = { ...axis, ...layout[name] };
    const title = dressed[name] && dressed[name].title;
    if (title) dressed[name].title = { ...title, font: { size: 12, color: colours.muted }, standoff: 8 };
  }
  return dressed;
}

function draw(paper) {
  const colours = PALETTE[paper ? "light" : theme()];
  for (const place of document.querySelectorAll("[data-figure]")) {
    const figure = fill(FIGURES[place.dataset.figure], state.lang, colours);
    const layout = frame(figure.layout, colours, place.clientWidth);
    const settings = { displayModeBar: false, responsive: true };
    if (paper) {
      // Drawn anew: an update would still be moving when the page is taken.
      Plotly.purge(place);
      Plotly.newPlot(place, figure.data, { ...layout, autosize: false, width: place.clientWidth }, settings);
    } else {
      Plotly.react(place, figure.data, layout, settings);
    }
  }
}

function show() {
  dress();
  document.title = TITLE[state.lang] + " · 都江 dujiang";
  draw(false);
}

document.getElementById("lang").addEventListener("click", () => {
  state.lang = state.lang === "zh" ? "en" : "zh";
  memory.set("lang", state.lang);
  show();
});
document.getElementById("dark").addEventListener("click", () => {
  state.scheme = theme() === "dark" ? "light" : "dark";
  memory.set("scheme", state.scheme);
  show();
});
systemDark.addEventListener("change", show);
// Paper is white and narrower than most screens.
addEventListener("beforeprint", () => {
  root.dataset.theme = "light";
  root.classList.add("paper");
  draw(true);
});
addEventListener("afterprint", () => {
  root.classList.remove("paper");
  show();
});
show();
