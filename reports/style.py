"""The look of pages and charts: one sheet, light and dark, for screen and paper. Nothing is loaded from anywhere."""

from __future__ import annotations

_LIGHT = """
--paper:#ffffff;--card:#f7f7f5;--ink:#1c1f23;--soft:#5b626a;--rule:#dcdfe3;--faint:#eceef0;
--good:#1a7f4b;--bad:#b3261e;--warn:#8a5a00;--good-wash:#e7f5ec;--bad-wash:#fcebea;--warn-wash:#fdf3dc;
--landed:#2f6fb3;--cancelled:#8a939d;--parked:#d98a00;--under-way:#2a93ab;--unknown:#b0408f;--waiting:#9188d8;
--closed:#6b7280;--other:#3b3f45;--missing:#c8372d;--proven:#2e9460;--unproven:#f3c6c2;--unproven-edge:#c8372d;
--future:#c6cbd1;--provider:#3b3f45;--ledger:#2a93ab;--store:#2f6fb3;
"""
_DARK = """
--paper:#15181c;--card:#1d2126;--ink:#e9ebee;--soft:#a4acb5;--rule:#363c44;--faint:#262b31;
--good:#63d199;--bad:#ff8f86;--warn:#f0bd5a;--good-wash:#173125;--bad-wash:#3b1f1d;--warn-wash:#372b12;
--landed:#5b9ee6;--cancelled:#7b858f;--parked:#eda83a;--under-way:#56c2d6;--unknown:#cf86c3;--waiting:#a59df0;
--closed:#a0a7b1;--other:#d8dbdf;--missing:#f0685d;--proven:#43b57d;--unproven:#5a2a28;--unproven-edge:#f0685d;
--future:#4b525b;--provider:#d8dbdf;--ledger:#56c2d6;--store:#5b9ee6;
"""
_FILLS = (
    "landed", "cancelled", "parked", "under-way", "unknown", "waiting", "closed", "other", "missing", "proven",
    "provider", "ledger", "store", "future",
)  # fmt: skip
_CHART = (
    "svg.chart{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;"
    "font-variant-numeric:tabular-nums;max-width:100%;height:auto;display:block}"
    "svg.chart text{fill:var(--ink)}svg.chart text.quiet{fill:var(--soft)}svg.chart text.strong{font-weight:600}"
    "svg.chart text.small{font-size:11px}"
    "svg.chart .grid{stroke:var(--rule);stroke-width:1}svg.chart .axis{stroke:var(--soft);stroke-width:1}"
    "svg.chart .unproven{fill:var(--unproven);stroke:var(--unproven-edge);stroke-width:1}"
    "svg.chart .track{fill:var(--faint)}"
)
CHART_STYLE = (
    f":root{{color-scheme:light dark;{_LIGHT}}}@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    f"@media print{{:root{{color-scheme:light;{_LIGHT}}}}}"
    + _CHART
    + "".join(f"svg.chart .{name}{{fill:var(--{name})}}" for name in _FILLS)
)
_PAGE = """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
main{max-width:1120px;margin:0 auto;padding:40px 32px 64px}
h1{font-size:30px;line-height:1.2;margin:0 0 4px}
h2{font-size:19px;line-height:1.3;margin:44px 0 12px;padding-top:14px;border-top:1px solid var(--rule)}
h3{font-size:15px;margin:0 0 8px}
p{margin:0 0 10px;max-width:76ch}
.kind{color:var(--soft);letter-spacing:.04em;text-transform:uppercase;font-size:12px;margin:0 0 4px}
.soft{color:var(--soft)}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:2px 20px;margin:14px 0 0}
dl.facts dt{color:var(--soft)}dl.facts dd{margin:0}
.verdict{font-size:24px;line-height:1.3;font-weight:600;margin:24px 0 0;padding:18px 22px;max-width:none;
border-radius:8px;border-left:6px solid var(--soft);background:var(--card)}
.verdict small{display:block;font-size:15px;line-height:1.5;font-weight:400;margin-top:6px;max-width:90ch}
.verdict.good{border-color:var(--good);background:var(--good-wash)}
.verdict.bad{border-color:var(--bad);background:var(--bad-wash)}
.verdict.warn{border-color:var(--warn);background:var(--warn-wash)}
.keys{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:16px 0 0;padding:0}
.keys div{background:var(--card);border-radius:8px;padding:12px 16px}
.keys dt{color:var(--soft);font-size:13px}
.keys dd{margin:0;font-size:22px;white-space:nowrap;font-weight:600;font-variant-numeric:tabular-nums}
figure{margin:0 0 8px}
figcaption{font-weight:600;margin:0 0 8px}
figcaption small{display:block;font-weight:400;color:var(--soft);font-size:13px}
section>figure{margin-top:28px}section>h2+figure{margin-top:0}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:36px 40px;margin-top:32px}
table{border-collapse:collapse;width:100%;font-size:13px;line-height:1.4;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--soft);vertical-align:bottom}
th,td{padding:4px 10px 4px 0;vertical-align:top}
th:last-child,td:last-child{padding-right:0}
thead th{border-bottom:1px solid var(--soft)}
thead th[colspan]{border-bottom:1px solid var(--rule)}
tbody{border-bottom:1px solid var(--rule)}
table.sums{width:auto;min-width:60%;margin-bottom:24px}table.sums th,table.sums td{padding:2px 0 2px 10px}
table.sums th.name{padding-left:0;padding-right:24px}table.sums .first{padding-left:36px}
table.sums tbody th{font-weight:400}
table.sums tr.side th{padding-left:0;color:var(--ink);font-weight:600;padding-top:12px}
table.sums tr.sum td,table.sums tr.sum th{border-top:1px solid var(--rule);font-weight:600;color:var(--ink)}
table.sums tr.sum td.alarm{color:var(--bad)}
.n{text-align:right;white-space:nowrap}
small{font-size:11.5px;color:var(--soft)}.alarm small{color:var(--bad)}
table.days{font-size:12.5px}table.days th.day{color:var(--ink);white-space:nowrap;vertical-align:top}
table.days th,table.days td{padding:2px 0 2px 10px}table.days th:first-child{padding-left:0}
table.days td.says{min-width:128px}
table.days td.n small{display:block;white-space:normal;line-height:1.25;min-width:78px}
table.days tbody.day tr:first-child>*{padding-top:5px}table.days tbody.day tr:last-child>*{padding-bottom:5px}
thead th.n[colspan]{text-align:center}
.n i{visibility:hidden;font-style:normal}
.zero{color:var(--soft)}
.nowrap{white-space:nowrap}
.wide{overflow-x:auto}
.ok{color:var(--good)}.no{color:var(--bad)}.half{color:var(--warn)}
.alarm{color:var(--bad);font-weight:600}
code{font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;overflow-wrap:anywhere}
ol,ul{padding-left:22px;margin:0 0 10px}li{margin:0 0 6px;max-width:90ch}
.id{overflow-wrap:anywhere}
@media (max-width:720px){main{padding:24px 16px}.pair{grid-template-columns:1fr}}
@page{size:A4 landscape;margin:12mm}
@media print{
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
body{font-size:12px}main{max-width:none;padding:0}
table{font-size:10.5px}.verdict{font-size:19px}.verdict small{font-size:12px}
h2{break-after:avoid;margin-top:26px}
figure,.verdict,.keys,tr,li,tbody.day{break-inside:avoid}
.wide{overflow:visible}
}
"""
PAGE_STYLE = CHART_STYLE + _PAGE
