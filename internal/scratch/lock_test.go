package scratch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A name has one holder at a time, whose file is removed afterwards; other names are free.
func TestHold(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	var inside atomic.Int32
	for range 20 {
		all.Go(func() {
			l, err := Hold(context.Background(), filepath.Join(dir, "a"))
			if err != nil {
				t.Error(err)
				return
			}
			if n := inside.Add(1); n != 1 {
				t.Errorf("%d at a time", n)
			}
			Sweep(dir)
			inside.Add(-1)
			l.Release()
		})
	}
	other, err := Hold(context.Background(), filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if list := names(t, dir); len(list) != 1 {
		t.Errorf("there are %v", list)
	}
	other.Release()
	if list := names(t, dir); len(list) != 0 {
		t.Errorf("there are %v", list)
	}
}

// Waiting for a lock ends with the context, and the lock of a killed process is free and is swept.
func TestHeld(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	first, err := Hold(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Hold(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	first.file.Close() // as the kernel does
	again, err := Hold(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	again.file.Close()
	Sweep(dir)
	if list := names(t, dir); len(list) != 0 {
		t.Errorf("there are %v", list)
	}
	if _, err := Hold(t.Context(), filepath.Join(dir, "none", "a")); !os.IsNotExist(err) {
		t.Errorf("error %v", err)
	}
}
