package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"time"

	"imprint/image/write"
	"imprint/internal/diag"
	"imprint/internal/interrupt"
	"imprint/internal/steprun"
	"imprint/internal/units"
	"imprint/internal/visible"

	"golang.org/x/term"
)

// An event is a line of JSON for machines.
type event map[string]any

// ui is the user interface: results go to out, progress to err. Progress is one line that is rewritten on a terminal, and one
// line for each stage in a pipe. With --json, both are events on out.
type ui struct {
	out, err io.Writer
	raw      io.Writer // err unfiltered, for output that moves the cursor
	json     bool
	live     bool
	width    int
	stop     func()
	failed   error // of writing to out

	stepName, partial string // what a step has written of its last line
}

func newUI(out, err io.Writer, json bool) *ui {
	u := &ui{out: out, err: visible.To(err), raw: err, json: json, stop: func() {}}
	if f, ok := err.(*os.File); ok && !json && terminal(f) {
		u.live = true
		u.width, _, _ = term.GetSize(int(f.Fd()))
	}
	return u
}

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// event prints an event as a line of JSON.
func (u *ui) event(e event) {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = fmt.Fprintf(u.out, "%s\n", line)
	}
	if err != nil && u.failed == nil {
		u.failed = err
	}
}

// stage reports the start of a stage.
func (u *ui) stage(name, text string) {
	u.stepEnds()
	u.stop()
	u.stop = func() {}
	switch {
	case u.json:
		u.event(event{"event": "stage", "stage": name})
	case u.live:
		u.line(text)
	case text != "":
		fmt.Fprintln(u.err, text)
	}
}

// step reports something about a step: what its command writes in whole lines.
func (u *ui) step(e steprun.Event) {
	if e.Kind != steprun.Output {
		u.stepEnds()
		u.stepName = e.Step
		u.stepEvent(e)
		return
	}
	u.stepLines(e.Step, e.Text)
}

// stepEnds reports a last line that nothing has ended.
func (u *ui) stepEnds() {
	if u.partial != "" {
		u.stepLines(u.stepName, "\n")
	}
}

// stepLines reports whole lines of a step, and keeps the rest.
func (u *ui) stepLines(step, text string) {
	u.partial += text
	for {
		line, rest, whole := strings.Cut(u.partial, "\n")
		if !whole && len(line) < longLine {
			return
		}
		u.partial = rest
		if !whole {
			line, u.partial = line[:longLine], line[longLine:]
		}
		u.stepEvent(steprun.Event{Kind: steprun.Output, Step: step, Text: line})
	}
}

// longLine is the length in bytes from which a line is reported in pieces.
const longLine = 64 << 10

func (u *ui) stepEvent(e steprun.Event) {
	u.clear()
	switch {
	case u.json:
		u.event(event{"event": "step", "kind": e.Kind.String(), "step": e.Step, "text": e.Text})
	case e.Kind != steprun.Output:
		fmt.Fprintf(u.err, "step %s: %s\n", visible.Line(e.Step), visible.Line(e.Text))
	default:
		fmt.Fprintf(u.err, "  %s\n", visible.Line(strings.TrimSuffix(e.Text, "\r")))
	}
}

// mostWarnings is the number of warnings that are printed one by one.
const mostWarnings = 20

// warn prints warnings about a description.
func (u *ui) warn(list diag.List) {
	for i, p := range list {
		switch {
		case u.json:
			u.event(event{"event": "warning", "file": p.File, "line": p.Line, "column": p.Col, "key": p.Key, "problem": p.Text, "hint": p.Hint})
		case i < mostWarnings:
			u.clear()
			fmt.Fprintf(u.err, "warning: %v\n", p)
		}
	}
	if n := len(list) - mostWarnings; n > 0 && !u.json {
		fmt.Fprintf(u.err, "warning: and %d more\n", n)
	}
}

// line replaces the progress line. It cuts text that is too long.
func (u *ui) line(text string) {
	if u.width > 4 && len(text) >= u.width {
		text = text[:u.width-1]
	}
	fmt.Fprint(u.raw, "\r\x1b[K", visible.Escape(visible.Line(text)))
}

// clear removes the progress line.
func (u *ui) clear() {
	u.stop()
	u.stop = func() {}
	if u.live {
		fmt.Fprint(u.raw, "\r\x1b[K")
	}
}

// A progress is the state of a long operation.
type progress struct {
	doing string // such as "writing"
	event event  // without the numbers
	done  func() int64
	total int64
}

// meter shows the progress of packing or writing.
func (u *ui) meter(m *write.Meter) {
	p := progress{"writing", event{"event": "progress", "stage": "write"}, m.Written, m.Total}
	if m.Packs != "" {
		p.doing, p.event["stage"], p.event["partition"] = "packing "+m.Packs+":", "pack", m.Packs
	}
	u.watch(p)
}

// watch shows a progress until the next stage, or the next progress.
func (u *ui) watch(p progress) {
	u.stop()
	every := 100 * time.Millisecond
	if !u.live && !u.json {
		every = 10 * time.Second
	}
	start := time.Now()
	u.stop = interrupt.Every(every, func() bool { u.progress(p, time.Since(start)); return true })
}

func (u *ui) progress(p progress, spent time.Duration) {
	done := p.done()
	if u.json {
		e := event{"bytes": done, "total": p.total}
		maps.Copy(e, p.event)
		u.event(e)
		return
	}
	rate := float64(done) / spent.Seconds()
	text := fmt.Sprintf("%s %s of %s, %s/s", p.doing, units.FormatBytes(done), units.FormatBytes(p.total), units.FormatBytes(int64(rate)))
	if rate > 0 && p.total > done {
		text += fmt.Sprintf(", %.0f s left", float64(p.total-done)/rate)
	}
	if u.live {
		u.line(text)
	} else {
		fmt.Fprintln(u.err, text)
	}
}
