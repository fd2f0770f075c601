//! What all pages share: look, head, cards. HTML made here, without scripts.

use std::fmt::Write;

/// The look of every page, light and dark. Colours have a contrast of at least 4.5 against what they stand on.
const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#f5f6f8;--card:#fff;--ink:#1a2230;--soft:#566173;--line:#dfe3e9;--good:#17703f;--bad:#b3261e;\
--warn:#7a5200;--bar:#2f6fb5;--link:#1f5ea8}
@media(prefers-color-scheme:dark){:root{--bg:#11151b;--card:#1a2029;--ink:#e8ecf2;--soft:#a3aebd;--line:#2d3643;--good:#6fd39b;\
--bad:#ff8a80;--warn:#f2c46d;--bar:#6ca8e8;--link:#8fc1f5}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main,header,footer{max-width:64rem;margin:auto;padding:1rem}header{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:baseline}
h1{font-size:1.5rem;margin:0}h2{font-size:1rem;margin:0 0 .5rem;color:var(--soft)}p{margin:.25rem 0}
a{color:var(--link);text-underline-offset:.15em}a:focus-visible{outline:3px solid var(--bar);outline-offset:2px;border-radius:.25rem}
header a{margin-left:auto}.notice{color:var(--soft);margin:0;flex-basis:100%}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(17rem,100%),1fr));gap:1rem}.two{grid-template-columns:repeat(auto-fit,minmax(min(24rem,100%),1fr))}
section{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1rem;min-width:0}.wide{grid-column:1/-1}
.big{font-size:1.35rem;font-weight:600;overflow-wrap:anywhere}.soft,footer{color:var(--soft)}.good{color:var(--good);font-weight:600}\
.bad{color:var(--bad);font-weight:600}.warn{color:var(--warn);font-weight:600}
progress{width:100%;height:.75rem;accent-color:var(--bar)}table{border-collapse:collapse;width:100%}
th,td{text-align:left;white-space:nowrap;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}
td.n,th.n{text-align:right}tbody th{font-weight:400;white-space:normal}
.results{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}.picture{flex:1 1 16rem;min-width:0;max-width:26rem}
img{display:block;max-width:100%;height:auto;border-radius:.5rem;background:#000}.scroll{flex:1 1 24rem;overflow-x:auto}
.studies{list-style:none;margin:0;padding:0;display:grid;gap:.75rem}
.studies li{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:.75rem;display:grid;\
grid-template-columns:8.5rem 1fr auto;grid-template-rows:auto 1fr;gap:.25rem 1rem;align-items:start;position:relative;min-width:0}
.studies li>*{min-width:0;overflow-wrap:anywhere}.studies h2{color:var(--ink);font-size:1.1rem;margin:0}
.studies h2 a::after{content:'';position:absolute;inset:0;border-radius:.75rem}.studies li:hover{border-color:var(--bar)}
.thumb{grid-row:1/span 2;aspect-ratio:6/5;display:grid;place-items:center;background:#000;border-radius:.5rem;overflow:hidden}\
.thumb img{width:100%;height:100%;object-fit:contain}.thumb.none{aspect-ratio:auto;min-height:3.5rem;background:var(--bg);color:var(--soft);font-size:.85rem}
.numbers{display:flex;flex-wrap:wrap;gap:.1rem 1.25rem}.state{text-align:right}
.pages{display:flex;flex-wrap:wrap;gap:1rem;justify-content:space-between;padding:1rem 0 0}
.flags{list-style:none;margin:0;padding:0}.flags li{padding:.35rem 0 .35rem .75rem;border-left:.3rem solid var(--soft);margin:.35rem 0}
.flags .serious{border-color:var(--bad)}.flags .caution{border-color:var(--warn)}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(18rem,100%),1fr));gap:1rem}figure{margin:0}figcaption{color:var(--soft);padding:.35rem 0}
.files{display:flex;flex-wrap:wrap;gap:.5rem 1.25rem;margin:0;padding:0;list-style:none}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
@media(max-width:36rem){.studies li{grid-template-columns:6rem 1fr}.state{text-align:left;grid-column:2}.thumb{grid-row:1/span 3}header a{margin-left:0}}
@media print{header a,.pages{display:none}section{break-inside:avoid}}";

/// A page up to its content. `refresh_s` is when the browser asks again; `title` and `heading` are escaped, `aside` is markup.
pub(super) fn head(
    title: &str,
    refresh_s: Option<u32>,
    heading: &str,
    aside: &str,
    class: &str,
) -> String {
    let refresh = refresh_s
        .map(|seconds| format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">"))
        .unwrap_or_default();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         {refresh}<title>{title}</title><style>{STYLE}</style></head><body>\
         <header><h1>{heading}</h1>{aside}</header><main class=\"{class}\">"
    )
}

/// A section with a heading; `body` is markup.
pub(super) fn card(out: &mut String, class: &str, title: &str, body: &str) {
    let _ = write!(
        out,
        "<section class=\"{class}\"><h2>{title}</h2>{body}</section>"
    );
}

/// Text as it may stand in markup and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(
            escape("<b a='1' b=\"2\">&"),
            "&lt;b a=&#39;1&#39; b=&quot;2&quot;&gt;&amp;"
        );
    }
}
