// Prints a greeting from a thread of a pool and a child process.
import java.util.concurrent.Executors;

class Hello {
    public static void main(String[] args) throws Exception {
        var pool = Executors.newFixedThreadPool(2);
        var said = pool.submit(() -> new String(new ProcessBuilder("echo", "hello").start().getInputStream().readAllBytes()));
        System.out.print(said.get());
        pool.shutdown();
    }
}
