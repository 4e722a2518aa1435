package servecmd

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"imprint/image/serve"
	"imprint/internal/httpfile"
	"imprint/internal/nbd"
	"imprint/internal/units"
	"imprint/internal/visible"
)

// serving prints the addresses of the disk.
func (w World) serving(e *export, s sockets) error {
	device, file := "", ""
	if s.nbd != nil {
		device = nbd.URI(s.nbd.Network, s.nbd.Address(), e.name)
	}
	if s.http != nil {
		file = fmt.Sprintf("http://%s%s", s.http.Address(), (&httpfile.File{Name: e.file}).Path())
	}
	if *w.JSON {
		w.Event(map[string]any{"event": "serving", "name": e.name, "size": e.disk.Size(), "nbd": device, "http": file})
		return w.Failed()
	}
	text := fmt.Sprintf("%s: %s, served until interrupted\n", visible.Line(e.name), units.FormatBytes(e.disk.Size()))
	if device != "" {
		text += fmt.Sprintf("  nbd   %s\n", device)
	}
	if file != "" {
		text += fmt.Sprintf("  http  %s\n", file)
	}
	_, err := io.WriteString(w.Stdout, text)
	return err
}

// served prints how much of the disk was read, and how much of that was verified.
func (w World) served(e *export) error {
	if *w.JSON {
		return w.servedEvent(e)
	}
	var text strings.Builder
	shares := e.disk.Shares()
	fmt.Fprintf(&text, "read %s of %s (%s)\n", units.FormatBytes(shares[0].Read), units.FormatBytes(shares[0].Data), percent(shares[0]))
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, s := range shares[1:] {
		fmt.Fprintf(t, "  %s\t%s of %s\t%s\n", visible.Line(s.Name), units.FormatBytes(s.Read), units.FormatBytes(s.Data), percent(s))
	}
	t.Flush()
	if touched, checked := e.disk.Checked(); touched > 0 {
		fmt.Fprintf(&text, "store items and files that were read from: %d, verified: %d\n", touched, min(touched, checked))
	}
	_, err := io.WriteString(w.Stdout, text.String())
	return err
}

// servedEvent is served as an event.
func (w World) servedEvent(e *export) error {
	shares, parts := e.disk.Shares(), []map[string]any{}
	for _, s := range shares[1:] {
		parts = append(parts, map[string]any{"name": s.Name, "read": s.Read, "data": s.Data})
	}
	touched, checked := e.disk.Checked()
	w.Event(map[string]any{
		"event": "served", "read": shares[0].Read, "data": shares[0].Data, "partitions": parts, "sources": touched, "verified": min(touched, checked),
	})
	return w.Failed()
}

func percent(s serve.Share) string {
	if s.Data == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(s.Read)/float64(s.Data))
}
