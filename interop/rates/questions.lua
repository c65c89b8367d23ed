-- One of 10,000 questions in turn: a thousand kinds of things, ten people and ten things each.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local token = os.getenv("TOKEN")
if token then wrk.headers["Authorization"] = "Bearer " .. token end

local number = 0
function request()
  number = (number + 7919) % 10000
  local kind = number % 1000
  local body = string.format(
    '{"subject":{"type":"user","id":"u%d","properties":{"roles":["user"]}},"action":{"name":"read"},' ..
    '"resource":{"type":"kind%d","id":"x%d","properties":{"status":"active"}}}', number, kind, number)
  return wrk.format(nil, nil, nil, body)
end

