import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;

/**
 * Driver: many cases in one JVM, against any broker, at the same time. A line on standard input is
 * `ID CASE NAMESRV BROKER`; the answer is `ID ok` or `ID failed "…"`, a JSON string. Ends with its input.
 */
public final class Driver {
    interface Case {
        void run(Lab lab) throws Exception;
    }

    private static final Map<String, Case> CASES = new TreeMap<>();

    static {
        FilterCases.register(CASES);
        RetryCases.register(CASES);
        TimeCases.register(CASES);
        TransactionCases.register(CASES);
        PopCases.register(CASES);
        MessagingCases.register(CASES);
        PullCases.register(CASES);
        OperationCases.register(CASES);
        SecurityCases.register(CASES);
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            Thread thread = new Thread(() -> out.println(words[0] + " " + run(words)), words[1]);
            thread.setDaemon(true);
            thread.start();
        }
        System.exit(0);
    }

    private static String run(String[] words) {
        try (Lab lab = new Lab(words[2], words[3])) {
            Case one = CASES.get(words[1]);
            if (one == null) {
                throw new IllegalArgumentException("no such case: " + words[1]);
            }
            one.run(lab);
            return "ok";
        } catch (Throwable e) {
            StringWriter text = new StringWriter();
            e.printStackTrace(new PrintWriter(text));
            return "failed " + Line.quote(text.toString());
        }
    }
}
