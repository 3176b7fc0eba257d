-- A floating window with an explanation. Plain text, nothing in it is run or rendered.

local client = require('linnix.client')
local text = require('linnix.text')

local M = {}

local MAX_WIDTH = 90
local MAX_NOTE = 2000
local shown = {} -- finding_id, buffer, window, problem, note so far

local function wrapped(value, indent) return indent .. text.plain(value, MAX_NOTE) end

local function note_lines(note)
  local lines = {
    '',
    ('AI note, by %s, not measured:'):format(text.plain(note.model, 60)),
    wrapped(note.text, '  '),
  }
  local patch = text.given(note.patch)
  for _, edit in ipairs(patch and patch.edits or {}) do
    table.insert(lines, ('  It proposes, not tried yet, for line %d:'):format(edit.line))
    for _, side in ipairs({ { '-', edit.old }, { '+', edit.new } }) do
      local sign, changed = side[1], side[2]
      for _, line in ipairs(changed ~= '' and vim.split(changed, '\n', { plain = true }) or {}) do
        table.insert(lines, '  ' .. sign .. text.plain(line, 160))
      end
    end
  end
  return lines
end

-- The lines for a finding, as far as it is known. `problem`: why there is no note.
function M.lines(finding, note_so_far, problem)
  local said = text.given(finding.explanation) or {}
  local lines = { text.plain(said.summary or finding.kind, MAX_NOTE) }
  if text.given(said.why) and said.why ~= '' then
    vim.list_extend(lines, { '', wrapped(said.why, '') })
  end
  for _, step in ipairs(text.given(said.fix) or {}) do
    table.insert(lines, wrapped(step, '- '))
  end
  if text.given(said.otherwise) and said.otherwise ~= '' then
    vim.list_extend(lines, { '', wrapped(said.otherwise, '') })
  end
  table.insert(lines, '')
  for _, evidence in ipairs(text.given(finding.evidence) or {}) do
    local value = evidence.value
    if type(value) == 'number' then
      value = ('%.3g %s'):format(value, text.plain(evidence.unit, 20))
    end
    table.insert(lines, ('%s  %s: %s (%s)'):format(
      text.plain(evidence.id, 10), text.plain(evidence.name, 60), text.plain(value, 100),
      text.plain(evidence.source, 60)))
  end
  if text.given(finding.test) then
    vim.list_extend(lines, { '', 'test: ' .. text.plain(finding.test) })
  end
  local note = text.given(said.note)
  if note then
    vim.list_extend(lines, note_lines(note))
  elseif note_so_far then
    vim.list_extend(lines, { '', 'AI note, being written, not measured:', wrapped(note_so_far, '  ') })
  elseif problem then
    vim.list_extend(lines, { '', text.plain(problem, MAX_NOTE) })
  end
  return lines
end

local function is_open()
  return shown.window and vim.api.nvim_win_is_valid(shown.window)
end

local function rows(lines, width)
  local n = 0
  for _, line in ipairs(lines) do
    n = n + math.max(1, math.ceil(vim.fn.strdisplaywidth(line) / width))
  end
  return n
end

local function draw()
  local finding = client.findings[shown.finding_id] or shown.finding
  if not finding then return end
  local lines = M.lines(finding, shown.note, shown.problem)
  if not (shown.buffer and vim.api.nvim_buf_is_valid(shown.buffer)) then
    shown.buffer = vim.api.nvim_create_buf(false, true)
    vim.bo[shown.buffer].bufhidden = 'wipe'
    for _, lhs in ipairs({ 'q', '<Esc>' }) do
      vim.api.nvim_buf_set_keymap(shown.buffer, 'n', lhs, '<Cmd>close<CR>', { nowait = true })
    end
  end
  vim.bo[shown.buffer].modifiable = true
  vim.api.nvim_buf_set_lines(shown.buffer, 0, -1, false, lines)
  vim.bo[shown.buffer].modifiable = false
  local width = math.max(20, math.min(MAX_WIDTH, vim.o.columns - 4))
  local height = math.max(1, math.min(rows(lines, width), vim.o.lines - 4))
  if not is_open() then
    shown.window = vim.api.nvim_open_win(shown.buffer, true, {
      relative = 'cursor', row = 1, col = 0, width = width, height = height,
      style = 'minimal', border = 'single',
    })
    vim.wo[shown.window].wrap = true
    vim.wo[shown.window].linebreak = true
  else
    vim.api.nvim_win_set_height(shown.window, height)
  end
end

-- By rules at once; then the model's note as it is written, if a model is in use.
function M.explain(finding)
  if is_open() then vim.api.nvim_win_close(shown.window, true) end
  shown = { finding_id = finding.id, finding = finding }
  draw()
  local of = shown
  client.execute('linnix.explain', { finding_id = finding.id, quiet = true },
    function(result, problem)
      if of ~= shown or not is_open() then return end
      if result and text.given(result.explanation) then
        local known = client.findings[finding.id] or finding
        shown.finding = vim.tbl_extend('force', known, { explanation = result.explanation })
        if client.findings[finding.id] then client.findings[finding.id] = shown.finding end
      end
      shown.note = nil
      shown.problem = problem or (result and text.given(result.note_problem))
      draw()
    end)
end

local is_listening = false

function M.setup()
  if is_listening then return end
  is_listening = true
  client.listen({
    note = function(finding_id, note)
      if finding_id == shown.finding_id and is_open() then
        shown.note = note
        draw()
      end
    end,
  })
end

return M
