// Every word of the page, in English and in Japanese. What stands in braces is filled in.
// The states are called as on the fallback page (proxy_addons/pages/words.toml).

const WORDS = {
  skip: ["To the content", "本文へ移動"],
  seconds: ["{n} s", "{n} 秒"], minutes: ["{n} min", "{n} 分"], hours: ["{n} h", "{n} 時間"], days: ["{n} d", "{n} 日"],
  "state.stopped": ["stopped", "停止中"], "state.queued": ["queued", "起動待ち"], "state.starting": ["starting", "起動中"], "state.ready": ["running", "稼働中"],
  "state.stopping": ["stopping", "停止処理中"], "state.backoff": ["crashed, retrying", "異常終了（再試行待ち）"], "state.failed": ["crashed", "異常終了"],
  "state.exited": ["ended", "終了済み"], "state.external": ["running outside", "stores の外で稼働中"],
  "route.local": ["local", "ローカル"], "route.remote": ["remote", "リモート"], "route.fallback": ["fallback page", "フォールバック"],
  "route.went": ["Route", "経路"],
  "route.local.long": ["Requests go to this machine.", "リクエストはこのマシンのサービスに送られます。"],
  "route.remote.long": ["Requests go to {remote}.", "リクエストは {remote} に送られます。"],
  "route.fallback.long": ["Nobody answers: requests get the page that says why.", "応答するものがないため、理由を示すページを返します。"],

  "view.services": ["Services", "サービス"], "view.logs": ["Logs", "ログ"], "view.map": ["Map", "関係図"], "view.requests": ["Requests", "リクエスト"],
  "view.events": ["Events", "イベント"], "view.identities": ["Identities", "利用者"], "view.doctor": ["Doctor", "診断"], views: ["Views", "画面の切り替え"],

  live: ["Live", "接続中"], lost: ["Connection lost", "接続が切れました"], connecting: ["Connecting …", "接続しています…"],
  "lost.long": ["The gateway does not answer. What is shown may be out of date; this page goes on by itself as soon as it is back.", "ゲートウェイが応答しません。表示内容は古い可能性があります。応答が戻り次第、自動的に再開します。"],
  "try.now": ["Try now", "今すぐ再接続"],
  language: ["日本語", "English"], "language.title": ["日本語で表示する", "Show in English"],
  "theme.title": ["Light or dark (now: {now})", "明暗の切り替え（現在：{now}）"], "theme.auto": ["as the system", "システムに従う"], "theme.light": ["light", "ライト"], "theme.dark": ["dark", "ダーク"],
  help: ["Keyboard shortcuts", "キーボードショートカット"], close: ["Close", "閉じる"], copy: ["Copy", "コピー"], copied: ["Copied", "コピーしました"],
  all: ["All", "すべて"], none: ["none", "なし"], more: ["More", "続きを読み込む"], notices: ["Notices", "お知らせ"], cancel: ["Cancel", "キャンセル"],
  mistakes: ["Mistakes in the files; the last good state is in force", "ファイルに誤りがあります（直前の正しい状態で動作しています）"],
  own: ["stores itself: {memory}, {cpu}", "stores 自体：{memory}、{cpu}"],

  "enter.title": ["This browser is not signed in", "このブラウザーはサインインしていません"],
  "enter.text": ["Only you, on this machine, may see and steer what runs here. Type this in the workspace; it opens the page with a key that works once:", "ここで動いているものを見たり操作したりできるのは、このマシンのあなただけです。ワークスペースで次のコマンドを実行すると、一度だけ使えるキーとともにこのページが開きます。"],
  "enter.stays": ["Signed in, a browser stays so for seven days.", "一度サインインすると、7 日間有効です。"],

  filter: ["Filter", "絞り込み"], "filter.services": ["Filter services", "サービスを絞り込む"], groups: ["Groups", "グループ"],
  start: ["Start", "起動"], stop: ["Stop", "停止"], restart: ["Restart", "再起動"],
  "start.one": ["Start {name}", "{name} を起動"], "stop.one": ["Stop {name}", "{name} を停止"], "restart.one": ["Restart {name}", "{name} を再起動"],
  "with.group": ["{name}:", "{name}："], "with.shown": ["{n} shown:", "表示中の {n} 件："], "with.all": ["All {n}:", "全 {n} 件："],
  "doing.start": ["Starting …", "起動しています…"], "doing.stop": ["Stopping …", "停止しています…"], "doing.restart": ["Restarting …", "再起動しています…"],
  "failed.start": ["{name} could not be started", "{name} を起動できませんでした"], "failed.stop": ["{name} could not be stopped", "{name} を停止できませんでした"],
  "failed.restart": ["{name} could not be restarted", "{name} を再起動できませんでした"],
  "now.is": ["{name} is {state}", "{name}：{state}"],
  "stop.sure": ["Stop all {n} services?", "{n} 件のサービスをすべて停止しますか？"], "restart.sure": ["Restart all {n} services?", "{n} 件のサービスをすべて再起動しますか？"],
  state: ["State", "状態"], service: ["Service", "サービス"], cpu: ["CPU", "CPU"], memory: ["Memory", "メモリー"], uptime: ["For", "経過"], restarts: ["Restarts", "再起動回数"],
  "restarts.n": ["{n} restarts", "再起動 {n} 回"], "restarts.1": ["1 restart", "再起動 1 回"], route: ["Route now", "現在の経路"], address: ["Address", "アドレス"], actions: ["Actions", "操作"],
  details: ["Details", "詳細"], "details.of": ["Details of {name}", "{name} の詳細"], description: ["Description", "説明"], port: ["Port", "ポート"], hosts: ["Hosts", "ホスト"],
  remote: ["Remote", "リモート"], "remote.none": ["none: only this machine can answer", "なし（このマシンだけが応答できます）"], repo: ["Repository", "リポジトリ"], file: ["Registered in", "登録ファイル"], dir: ["Folder", "フォルダー"],
  starts: ["Starts", "起動方法"], "starts.manual": ["when told to", "指示されたとき"], "starts.on-request": ["on request", "リクエストが来たとき"], needs: ["Needs", "依存先"],
  processes: ["Processes", "プロセス"], process: ["Process", "プロセス"], pid: ["PID", "PID"], "last.exit": ["Last exit", "直前の終了"], why: ["Why", "理由"], history: ["What happened", "これまでの経過"],
  "see.logs": ["Logs", "ログを見る"], "see.requests": ["Requests", "リクエストを見る"], "exit.was": ["last exit: {exit}", "直前の終了：{exit}"],
  "none.services": ["No service is registered yet", "登録されたサービスがありません"], "none.services.do": ["stores add NAME", "stores add 名前"], "none.match": ["Nothing matches", "該当するものがありません"],
  "services.count": ["{up} of {n} running", "{n} 件中 {up} 件が稼働中"],

  "logs.search": ["Search the logs", "ログを検索"], follow: ["Follow", "追従"], "follow.title": ["Keep the newest line in sight", "最新の行を表示し続ける"],
  "logs.of": ["Log lines", "ログの行"], "logs.missed": ["… {n} lines were left out: they came too fast …", "…速すぎたため {n} 行を省略しました…"],
  "logs.none": ["No lines yet", "まだ行がありません"], "logs.none.q": ["No line has “{q}”", "「{q}」を含む行はありません"], "logs.older": ["Older lines", "さらに前の行"],
  "logs.start": ["This is where the logs begin.", "ここがログの先頭です。"], "logs.count": ["{n} lines", "{n} 行"], clear: ["Clear", "消去"], gateway: ["gateway", "ゲートウェイ"], "newest": ["To the newest", "最新へ"],
  line: ["Line", "行"],

  "map.title": ["Who calls whom", "呼び出しの関係"], "map.about": ["The requests of the last minute", "直近 1 分間のリクエスト"], caller: ["Caller", "呼び出し元"], callee: ["Service", "呼び出し先"], "per.second": ["per second", "毎秒"],
  requests: ["Requests", "リクエスト"], errors: ["Errors", "エラー"], "map.table": ["The same as a table", "表で見る"], "map.none": ["No requests in the last minute", "直近 1 分間のリクエストはありません"],
  "traffic.do": ["Requests are noted while a page like this one is open. Open a service, and they appear here.", "このような画面を開いている間だけリクエストを記録します。サービスにアクセスすると、ここに表示されます。"],
  "caller.browser": ["browser", "ブラウザー"], "caller.unknown": ["unknown", "不明"], median: ["Median", "中央値"], p95: ["95 %", "95 %"], bytes: ["Bytes", "サイズ"],
  "edge.said": ["{caller} calls {service}: {rate} per second, {errors} errors, median {p50}", "{caller} から {service}：毎秒 {rate} 件、エラー {errors} 件、中央値 {p50}"],

  "requests.filter": ["Filter by path, host, trace", "パス、ホスト、トレースで絞り込む"], time: ["Time", "時刻"], method: ["Method", "メソッド"], path: ["Path", "パス"], status: ["Status", "ステータス"], duration: ["Duration", "所要時間"],
  "only.errors": ["Errors only", "エラーのみ"], newer: ["{n} newer", "新着 {n} 件"], timeline: ["The last minute", "直近 1 分間"], "timeline.about": ["Requests by service, events and changes of state of the last minute", "直近 1 分間のサービス別リクエスト、イベント、状態の変化"],
  "skipped": ["{n} requests were too many to show", "多すぎるため {n} 件のリクエストを省略しました"], trace: ["Trace", "トレース"], waterfall: ["Waterfall of its trace", "このトレースのウォーターフォール"],
  "first.byte": ["First byte after", "最初の 1 バイトまで"], "bytes.both": ["Request, response", "リクエスト／レスポンス"], host: ["Host", "ホスト"], error: ["Error", "エラー"],
  "how": ["Known by", "判別の根拠"], "how.trace": ["its traceparent", "traceparent"], "how.process": ["the process of the connection", "接続元のプロセス"], "how.page": ["the page it came from", "送信元のページ"], "how.agent": ["its User-Agent", "User-Agent"],
  "copy.curl": ["Copy as curl", "curl としてコピー"], request: ["Request", "リクエスト"], inspect: ["Inspect", "中身を記録"], "trace.alone": ["Nothing else was seen of this trace.", "このトレースのほかのリクエストは記録されていません。"],
  "trace.meanwhile": ["{name} hands on no traceparent: below it stands what it asked of others while it answered, be it for this request or another.", "{name} は traceparent を引き継いでいません。応答中に {name} がほかへ送ったリクエストを並べています（別のリクエストのためのものも含まれることがあります）。"],
  "mark.state": ["{name}: {before} → {state}", "{name}：{before} → {state}"],

  subscriptions: ["Subscriptions", "購読"], waiting: ["Waiting", "未配信"], "in.flight": ["In flight", "配信中"], delivered: ["Delivered", "配信済み"], dead: ["Dead", "配信不能"], lag: ["Lag", "遅れ"],
  pause: ["Pause", "一時停止"], resume: ["Resume", "再開"], replay: ["Replay …", "再配信…"], "replay.one": ["Replay to {name}", "{name} に再配信"], "replay.title": ["Replay events to {name}", "{name} へイベントを再配信"],
  "replay.from": ["From number", "開始番号"], "replay.to": ["to number", "終了番号"], "replay.about": ["The subscriber gets these events once more, as far as it wants their types.", "購読しているタイプのイベントを、もう一度配信します。"], "replay.do": ["Replay", "再配信する"], "replayed": ["{n} events will be delivered again", "{n} 件のイベントを再配信します"],
  deadletters: ["Dead letters", "配信できなかったイベント"], "dead.none": ["None: every event that was to be delivered was, or still will be.", "ありません。"], retry: ["Try again", "再試行"], drop: ["Drop", "破棄"], "retry.all": ["Try all again", "すべて再試行"],
  "drop.sure": ["Drop it? It will never be delivered.", "破棄しますか？ 二度と配信されません。"], attempts: ["Attempts", "試行回数"], reason: ["Reason", "理由"], "retried": ["{n} will be tried again", "{n} 件を再試行します"], "dropped": ["{n} dropped", "{n} 件を破棄しました"],
  "events.newest": ["Newest events", "新しいイベント"], "events.filter": ["Filter by type, source, id", "タイプ、ソース、ID で絞り込む"], "events.none": ["No events yet", "まだイベントはありません"], "events.do": ["Services send them to", "送信先"], number: ["No.", "番号"], "event.type": ["Type", "タイプ"], source: ["Source", "ソース"], origin: ["Origin", "発生元"], "origin.here": ["here", "このマシン"],
  "subs.none": ["No service subscribes to events.", "イベントを購読しているサービスはありません。"],
  "sub.idle": ["up to date", "すべて配信済み"], "sub.delivering": ["delivering", "配信中"], "sub.retrying": ["retrying", "再試行中"], "sub.ended": ["ended", "終了済み"], "sub.paused": ["paused", "一時停止中"], "sub.waiting": ["waits for the service", "サービスの起動待ち"], "event.of": ["Event {n}", "イベント {n}"],

  "who.title": ["Who am I at the API gateway?", "API ゲートウェイでの利用者"], "who.about": ["Requests that say nothing of their caller are treated as from this identity.", "呼び出し元を示さないリクエストは、この利用者のものとして扱われます。"],
  "who.now": ["Now", "現在"], "who.use": ["Be {name}", "{name} になる"], "who.default": ["Back to the default", "既定に戻す"], "who.none": ["No identities are registered", "利用者が登録されていません"], "who.do": ["They stand in stores.toml as [identity.NAME].", "stores.toml に [identity.名前] として書きます。"],
  "who.nobody": ["nobody", "未認証"], subject: ["Subject", "サブジェクト"], scopes: ["Scopes", "スコープ"], "who.played": ["The authorizer plays: {what} ({who}, {span} left)", "オーソライザーが障害を再現中：{what}（{who}、残り {span}）"], mode: ["Authorizer", "オーソライザー"],

  "doctor.about": ["The whole way of a request, link by link, as <stores doctor> walks it.", "<stores doctor> と同じように、リクエストの通り道を順に調べます。"], "doctor.again": ["Check again", "もう一度調べる"], "doctor.busy": ["Checking; this takes a few seconds …", "調べています（数秒かかります）…"],
  "doctor.ok": ["Everything is as it should be", "すべて正常です"], "doctor.broken": ["Broken: {n}", "問題：{n} 件"], "health.ok": ["in order", "正常"], "health.note": ["note", "参考"], "health.broken": ["broken", "問題あり"], "doctor.mend": ["To mend it", "直し方"],

  "view.inspect": ["Inspect", "通信の中身"], "inspect.hosts": ["Inspected services", "中身を記録するサービス"], "inspect.filter": ["Filter: ~c 500, ~m POST & ~u cart", "フィルター：~c 500、~m POST & ~u cart"], "inspect.search": ["Search headers and bodies", "ヘッダーと本文を検索"],
  "inspect.left": ["{span} left", "残り {span}"], "inspect.none": ["Nothing recorded yet", "まだ記録がありません"], "inspect.do": ["Choose a service above. From then on every request to it, and its answer, is kept in memory for you to read; off again by itself after an hour.", "上でサービスを選ぶと、そのサービスへのリクエストと応答がすべてメモリーに記録されます。1 時間後に自動的に終了します。"],
  kind: ["Type", "種類"], "inspect.messages": ["{n} messages", "メッセージ {n} 件"], "inspect.client": ["client", "クライアント"], "inspect.server": ["server", "サーバー"], response: ["Response", "レスポンス"], "inspect.sent": ["What {to} was sent", "{to} に送られたヘッダー"], "inspect.headers": ["Headers", "ヘッダー"],
  "inspect.nobody": ["No body", "本文なし"], "inspect.kept": ["{kept} of it kept", "うち {kept} を記録"], "inspect.replay": ["Replay", "再送"], "inspect.edit": ["Edit and replay …", "編集して再送…"], "inspect.edit.about": ["It is sent as a new request, through the gateway.", "ゲートウェイを通して、新しいリクエストとして送られます。"],
  "inspect.set": ["Headers to set", "設定するヘッダー"], "inspect.body": ["Body", "本文"], "inspect.send": ["Send", "送信"], "inspect.secrets": ["Show secrets", "秘密の値を表示"], "inspect.replayed": ["Replayed: {status}", "再送しました：{status}"], "inspect.timing": ["Sending · waiting · receiving", "送信・待機・受信"],

  "keys.single": ["Single-key shortcuts", "1 文字のショートカットを使う"], "key.views": ["the views", "画面を切り替える"], "key.filter": ["filter or search", "絞り込み・検索"], "key.help": ["this list", "この一覧"], "key.close": ["close, clear", "閉じる・消去"],
  "key.move": ["next, previous row", "次の行・前の行"], "key.details": ["details", "詳細を開く"], "key.start": ["start", "起動"], "key.stop": ["stop", "停止"], "key.restart": ["restart", "再起動"], "key.logs": ["its logs", "そのログ"],
  "key.follow": ["follow the newest", "最新に追従"], "key.theme": ["light or dark", "明暗を切り替える"], "key.language": ["language", "言語を切り替える"], key: ["Key", "キー"],
  "unreachable": ["The gateway does not answer", "ゲートウェイが応答しません"], "fault": ["That failed", "失敗しました"],
};

const ORDER = ["en", "ja"];

export const language = () => document.documentElement.lang;

/** The word in the page's language. A word that is missing is shown by its name, and a test finds it. */
export function t(name, values = {}) {
  const word = WORDS[name]?.[ORDER.indexOf(language())];
  return word === undefined ? name : word.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

export const names = () => Object.keys(WORDS);
