-- SPDX-License-Identifier: ISC
-- For wrk: the POST that "cassata-bench add" sends, each with an id of its own.
-- After "--" come the bytes of the payload (300) and the seconds until the
-- events are due (86400).

local threads = 0

function setup(thread)
	thread:set("number", threads)
	threads = threads + 1
end

function init(args)
	local payload = tonumber(args[1] or 300)
	local due = os.time() + tonumber(args[2] or 86400)

	count = 0
	prefix = string.format('{"application-id":"wrk","event-id":"%d-%d-',
	    os.time(), number)
	suffix = string.format('","event":"%s","expiry":%d,'
	    .. '"url":"http://127.0.0.1:9/"}', string.rep("x", payload), due)
	head = { ["Content-Type"] = "application/json" }
end

function request()
	count = count + 1
	return wrk.format("POST", "/cassata/add/", head,
	    prefix .. count .. suffix)
end
