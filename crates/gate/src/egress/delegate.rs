//! Writing through a wrapper: the wrappers of this crate change how a stream is read, and write to it as it is.

/// Implements `AsyncWrite` for the wrapper `$type<S>` by its field `$stream`, vectored writes included. The optional
/// `$wrote` is called with the wrapper and the number of bytes after each write.
macro_rules! delegate_write {
    ($type:ident, $stream:ident) => {
        delegate_write!($type, $stream, |_, _| {});
    };
    ($type:ident, $stream:ident, $wrote:expr) => {
        impl<S: tokio::io::AsyncWrite + Unpin> tokio::io::AsyncWrite for $type<S> {
            fn poll_write(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let polled = std::pin::Pin::new(&mut self.$stream).poll_write(cx, bytes);
                if let std::task::Poll::Ready(Ok(count)) = polled {
                    let wrote: fn(&mut $type<S>, usize) = $wrote;
                    wrote(&mut self, count);
                }
                polled
            }

            fn poll_write_vectored(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                parts: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let polled = std::pin::Pin::new(&mut self.$stream).poll_write_vectored(cx, parts);
                if let std::task::Poll::Ready(Ok(count)) = polled {
                    let wrote: fn(&mut $type<S>, usize) = $wrote;
                    wrote(&mut self, count);
                }
                polled
            }

            fn is_write_vectored(&self) -> bool {
                self.$stream.is_write_vectored()
            }

            fn poll_flush(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.$stream).poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.$stream).poll_shutdown(cx)
            }
        }
    };
}

pub(crate) use delegate_write;
