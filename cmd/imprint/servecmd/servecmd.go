// Package servecmd has the commands for a disk that need not be built: serve and boot.
package servecmd

import (
	"context"
	"fmt"
	"io"

	"imprint/cmd/imprint/imagecmd"
	"imprint/image/emulator"

	"github.com/spf13/cobra"
)

// A World is what the commands use of the program, besides what those that read images use.
type World struct {
	imagecmd.World
	RawErr io.Writer           // standard error for a program on the terminal
	Env    func(string) string // of the program on the terminal

	Stage     func(name, text string)                       // shows that a stage begins
	Installed func(context.Context, emulator.Machine) error // names what is missing of a machine
}

// Commands returns the commands.
func Commands(w World) []*cobra.Command { return []*cobra.Command{w.serve(), w.boot()} }

// usagef makes an error of the command line.
func (w World) usagef(format string, args ...any) error { return w.Usage(fmt.Errorf(format, args...)) }
