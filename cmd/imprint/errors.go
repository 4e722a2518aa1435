package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"imprint/image/write"
	"imprint/internal/cas"
	"imprint/internal/diag"
	"imprint/internal/hosttool"
	"imprint/internal/objects"
	"imprint/internal/stream"
	"imprint/internal/visible"
)

// Exit codes, as listed in the help.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInvalid     = 3
	exitMissingTool = 4
	exitMismatch    = 5
	exitDiffers     = 6
	exitInterrupted = 130
)

// missing is the error of doctor for missing host tools and files.
type missing []string

func (m missing) Error() string        { return "missing: " + strings.Join(m, ", ") }
func (m missing) Is(target error) bool { return target == hosttool.ErrMissing }

// errDiffers is the error of comparisons that have printed differences.
var errDiffers = errors.New("there are differences")

// usage is an error in the command line.
type usage struct{ error }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// exitCode returns the exit code for an error.
func exitCode(ctx context.Context, err error) int {
	var problems diag.List
	var wrong usage
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &wrong), strings.HasPrefix(err.Error(), "unknown command"):
		return exitUsage
	case errors.As(err, &problems) && !slices.ContainsFunc(problems, func(p diag.Problem) bool { return p.World }):
		return exitInvalid
	case problems != nil:
		return exitFailed
	case errors.Is(err, hosttool.ErrMissing):
		return exitMissingTool
	case errors.Is(err, errDiffers):
		return exitDiffers
	case errors.Is(err, write.ErrMismatch), errors.Is(err, objects.ErrDamaged), errors.Is(err, cas.ErrMismatch), errors.Is(err, stream.ErrChanged):
		return exitMismatch
	}
	return exitFailed
}

// report prints an error and returns the exit code.
func (r *root) report(ctx context.Context, err error) int {
	code := exitCode(ctx, err)
	r.ui.stepEnds()
	if code == exitDone || code == exitDiffers { // everything is printed
		return code
	}
	text := message(err)
	if code == exitInterrupted {
		text = "interrupted; no output was written"
		if r.written != "" {
			text = "interrupted; " + visible.Line(r.written) + " is complete, and was not checked"
		}
	}
	if r.json {
		r.ui.event(event{"event": "error", "exit": code, "error": text, "problems": problems(err)})
		return code
	}
	if problems(err) == nil {
		text = "imprint: " + text
	}
	fmt.Fprintln(r.stderr, text)
	if code == exitUsage {
		fmt.Fprintln(r.stderr, "hint: imprint help lists the commands, imprint help COMMAND its flags")
	}
	return code
}

// message returns the text of an error. Newlines are kept in diagnostics, messages of host tools and suggestions of commands;
// others come from file names and are escaped.
func message(err error) string {
	var tool *hosttool.ExitError
	var wrong usage
	if problems(err) == nil && !errors.As(err, &tool) && !errors.As(err, &wrong) && !strings.HasPrefix(err.Error(), "unknown command") {
		return visible.Line(err.Error())
	}
	return err.Error()
}

// problems returns the diagnostics in an error as events.
func problems(err error) []event {
	var list diag.List
	if !errors.As(err, &list) {
		return nil
	}
	events := make([]event, len(list))
	for i, p := range list {
		events[i] = event{"file": p.File, "line": p.Line, "column": p.Col, "key": p.Key, "problem": p.Text, "hint": p.Hint}
	}
	return events
}
